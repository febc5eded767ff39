"""Training, evaluation, prediction and submission on scans, by the commands of the CLI."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import scannet_tree
from equiseg.cli.main import main
from equiseg.data.config import DataConfig, PointsConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.points.formats.ply import read_ply, write_ply
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.evaluation.config import EvaluationConfig
from equiseg.training.config import TrainConfig
from equiseg.training.run import train
from places import SHARED_DATA

REAL = SHARED_DATA / "semantic_kitti"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path_factory.mktemp("cache")))


def rooms(**changes) -> TrainConfig:
    data = DataConfig(
        card="scans",
        synthetic=SyntheticConfig(
            scans=ScansConfig(num_classes=8, points=1500), num_samples=(8, 2, 2)
        ),
    )
    return TrainConfig(**({"data": data, "epochs": 1, "batch_size": 4, "threads": 1} | changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of rooms, trained once."""
    out = tmp_path_factory.mktemp("rooms")
    train(rooms(), out)
    return out


def options(folder: Path, **more: object) -> list[str]:
    """Options for a small run on a card."""
    shared = {"epochs": 1, "batch_size": 2, "threads": 1, "out": folder} | more
    return [text for key, value in shared.items() for text in (f"--{key}", str(value))]


def test_a_run_on_scans_records_points_as_its_unit(run: Path):
    result = json.loads((run / "result.json").read_text())
    assert (result["unit"], len(result["classes"])) == ("point", 8)
    assert sum(result["pixels"]) > 8 * 1000
    assert 0 < result["test"]["pixel_accuracy"] < 1
    assert np.isfinite(result["test"]["collapse"]["equiangularity"])


def test_the_same_seed_gives_the_same_run(run: Path, tmp_path: Path):
    again, first = train(rooms(), tmp_path), json.loads((run / "result.json").read_text())
    assert again["test"]["confusion"] == first["test"]["confusion"]
    assert again["test"]["collapse"] == first["test"]["collapse"]


def test_mirrored_scans_are_averaged(run: Path, tmp_path: Path):
    main(["evaluate", "--run", str(run), "--out", str(tmp_path / "plain.json")])
    flip = ["--evaluation.flip", "true"]
    main(["evaluate", "--run", str(run), "--out", str(tmp_path / "flip.json"), *flip])
    plain, mirrored = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("plain", "flip"))
    assert np.sum(plain["confusion"]) == np.sum(mirrored["confusion"])


@pytest.mark.parametrize("supervision", ["points", "majority"])
def test_rare_classes_choose_the_crops_of_either_supervision(tmp_path: Path, supervision: str):
    out = ["train", "--data.card", "rooms", "--data.rooms.num_classes", "8"]
    out += ["--data.rooms.points", "1500", "--data.num_scenes", "[4, 2, 2]"]
    out += ["--data.points.supervision", supervision, "--data.points.crop.shape", "sphere"]
    out += ["--data.points.crop.size", "1.5", "--data.points.crop.rare", "0.5"]
    main([*out, *options(tmp_path / "run")])
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_card_that_changed_after_training_is_reported(run: Path, tmp_path: Path, monkeypatch):
    def fewer(config, split):
        return RoomScans(ScansConfig(num_classes=7), split, 2)

    monkeypatch.setattr("equiseg.data.sources.open_split", fewer)
    with pytest.raises(SystemExit, match=r"the card has changed since this network was trained"):
        main(["evaluate", "--run", str(run)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": DataConfig(card="scans", augment=AugmentConfig(flip=0.0))},
            r"data\.augment is for images; use data\.points\.augment",
        ),
        (
            {"data": DataConfig(points=PointsConfig(supervision="majority"))},
            r"data\.points is for point clouds; use data\.augment",
        ),
        ({"evaluation": EvaluationConfig(votes=2)}, "votes=2 needs scans that are cut into blocks"),
        ({"evaluation": EvaluationConfig(scales=(0.5, 1))}, r"scales is for images.*votes or flip"),
    ],
)
def test_options_of_the_other_kind_of_data_are_refused(tmp_path: Path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(rooms(**changes), tmp_path)


def test_a_network_of_images_is_refused_on_scans(tmp_path: Path):
    given = ["--data.card", "rooms", "--data.num_scenes", "[4, 2, 2]", "--model.name", "fpn-small"]
    with pytest.raises(SystemExit, match=r"model.name=fpn-small takes images, the data are point"):
        main(["train", *given, "--out", str(tmp_path)])


def test_predict_writes_scans_views_and_a_legend(run: Path, tmp_path: Path):
    scan = tmp_path / "scan.ply"
    rng = np.random.default_rng(0)
    xyz_N3 = rng.uniform(0, 2, (900, 3)) + np.array([6e5, 5e6, 0])
    write_ply(scan, xyz_N3, rgb_N3=rng.integers(0, 255, (900, 3), dtype=np.uint8))
    out = tmp_path / "predicted"
    line = ["predict", "--weights", str(run), "--inputs", str(scan), "--out", str(out)]
    main([*line, "--confidence"])
    predicted = read_ply(out / "scans/scan.ply", ("confidence",))
    assert 0 < predicted.attributes["confidence"].max() <= 1
    np.testing.assert_allclose(predicted.xyz_N3, xyz_N3, atol=1e-3)  # in the order of the file
    assert set(np.unique(predicted.codes_N)) <= set(range(8))
    assert Image.open(out / "views/scan_above.png").width == 1200
    assert (out / "views/scan_oblique.png").is_file() and (out / "legend.png").is_file()
    assert sorted(entry.name for entry in out.iterdir() if entry.name[0] != ".") == [
        "classes.csv",
        "legend.png",
        "scans",
        "views",
    ]


def test_predict_names_the_channel_that_a_scan_lacks(run: Path, tmp_path: Path):
    write_ply(tmp_path / "bare.ply", np.random.default_rng(0).uniform(0, 1, (50, 3)))
    rng = np.random.default_rng(0)
    rgb_N3 = rng.integers(0, 255, (50, 3), dtype=np.uint8)
    write_ply(tmp_path / "whole.ply", rng.uniform(0, 1, (50, 3)), rgb_N3=rgb_N3)
    arguments = ["--weights", str(run), "--inputs", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"not predicted, .*\(1\):\s+.*bare\.ply: .*rgb"):
        main(["predict", *arguments, "--out", str(tmp_path / "o")])
    assert (tmp_path / "o/scans/whole.ply").is_file()  # the others are predicted all the same


def test_scannet200_from_the_download_to_a_checked_submission(tmp_path: Path, capsys):
    root, out = tmp_path / "scannet", tmp_path / "run"
    scannet_tree.write_official(root)
    card = yaml.safe_load(
        (
            Path(scannet_tree.__file__).parents[1] / "src/equiseg/data/cards/scannet200.yaml"
        ).read_text()
    )
    (tmp_path / "coarse.yaml").write_text(yaml.safe_dump(card | {"voxel": 0.1}))
    given = ["--data.card", str(tmp_path / "coarse.yaml"), "--data.root", str(root)]
    main(["train", *given, *options(out)])
    result = json.loads((out / "result.json").read_text())
    assert [len(result["groups"][name]) for name in ("head", "common", "tail")] == [66, 68, 66]
    assert result["val"]["means_over"] == "labelled classes"
    capsys.readouterr()
    main(["evaluate", "--run", str(out), "--split", "val"])
    assert f"mean of {result['val']['num_iou']} labelled classes" in capsys.readouterr().out
    (scene,) = root.rglob("scene0707_00_vh_clean_2.ply")
    (scene.parent / "scene0707_00_vh_clean.ply").write_bytes(b"the full mesh, not to be read")
    scans, predicted = scene.parents[1], tmp_path / "predicted"
    main(["predict", "--weights", str(out), "--inputs", str(scans), "--out", str(predicted)])
    assert [file.stem for file in (predicted / "submission").iterdir()] == ["scene0707_00"]
    check = ["submission", "--folder", str(predicted / "submission"), "--root", str(root)]
    main(check)
    assert "every line is an id of the benchmark" in " ".join(capsys.readouterr().out.split())
    (predicted / "submission/scene0707_00.txt").write_text("1\n2\n")
    with pytest.raises(SystemExit, match=r"cannot be submitted \(1\)"):
        main(check)


KITTI = """
name: kitti
form: arrays
points: "{split}/*.npz"
splits: {train: train, val: val}
features: [intensity]
voxel: 0.5
ignore_values: [0]
"""


@pytest.mark.skipif(not REAL.is_dir(), reason="no real data next to the checkout")
def test_semantic_kitti_scans_train_an_epoch_and_are_scored(tmp_path: Path):
    names = ", ".join(f"{code}: class {code}" for code in range(1, 20))
    (tmp_path / "kitti.yaml").write_text(KITTI + f"classes: {{{names}}}\n")
    given = ["--data.card", str(tmp_path / "kitti.yaml"), "--data.root", str(REAL)]
    crop = ["--data.points.crop.shape", "sphere", "--data.points.crop.size", "15"]
    main(["train", *given, *crop, *options(tmp_path / "run", **{"optimizer.lr": 4e-3})])
    main(["evaluate", "--run", str(tmp_path / "run"), "--split", "val"])
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["val"]["pixel_accuracy"] > 0.2


def test_votes_average_several_blocks_per_point(tmp_path: Path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        xyz_N3 = rng.uniform(0, 4, (3000, 3)) * (1, 1, 0.2)
        labels_N = (xyz_N3[:, 0] > 2) + (xyz_N3[:, 1] > 3)
        write_ply(tmp_path / split / "a.ply", xyz_N3, labels_N=labels_N)
    card = {
        "name": "plain",
        "form": "ply",
        "points": "{split}/*.ply",
        "splits": {"train": "train", "val": "val"},
        "classes": ["a", "b", "c"],
        "voxel": 0.2,
        "block": 2.0,
        "margin": 0.5,
        "root": ".",
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    out = tmp_path / "run"
    main(["train", "--data.card", str(tmp_path / "card.yaml"), *options(out)])
    records = {}
    for votes in ("1", "3"):
        file = tmp_path / f"{votes}.json"
        evaluate = ["evaluate", "--run", str(out), "--split", "val", "--out", str(file)]
        main([*evaluate, "--evaluation.votes", votes])
        records[votes] = json.loads(file.read_text())
        assert np.sum(records[votes]["confusion"]) == 3000
        assert np.sum(records[votes]["calibration"]["count"]) == 3000
        assert 0 < records[votes]["ece"] < 1
    assert records["1"]["confusion"] != records["3"]["confusion"]
    with pytest.raises(SystemExit, match=r"evaluation.window is for images"):
        main([*evaluate, "--evaluation.window", "[8, 8]"])


def test_weights_include_the_statistics_that_standardise_the_channels(run: Path):
    from safetensors.torch import load_file

    state = load_file(run / "model.safetensors")
    assert torch.all(state["standardize.std_C"] > 0)
    assert not torch.equal(state["standardize.mean_C"], torch.zeros(3))
