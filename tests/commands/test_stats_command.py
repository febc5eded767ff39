"""equiseg stats: what it prints, what it writes, and the factors that were published."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equiseg.cli.main import main
from equiseg.commands import StatsOptions
from equiseg.data.statistics.profile import DataProfile
from places import SHARED_DATA
from runs import write_street

DATA = SHARED_DATA
OWN_MASKS = """
from pathlib import Path
import numpy as np


class Masks:
    class_names = ["sky", "road"]

    def __init__(self, split, root=None):
        pass

    def __len__(self):
        return 12

    def __getitem__(self, index):
        with open("log", "a") as log:
            log.write(f"{index}\\n")
        if index == 4 and Path("broken").exists():
            raise OSError("no mask 4")
        return np.zeros((3, 4, 4), np.uint8), np.full((4, 4), index % 2)
"""


def printed(capsys, *arguments):
    main(["stats", *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "pixels", "images"),
    [
        ("ade20k", 827.5, 282.6),
        ("coco_stuff164k", 2612.7, 528.6),
        ("cityscapes", 373.7, 20.8),
    ],
)
def test_published_factors_by_command(name, pixels, images, capsys):
    table = DATA / "frequencies" / f"{name}.csv"
    if not table.exists():
        pytest.skip(f"{table} is not there")
    levels = json.loads(printed(capsys, str(table), "--json"))["levels"]
    factors = {level["level"]: level["imbalance_factor"] for level in levels}
    assert round(factors["pixels"], 1) == pixels
    assert round(factors["images"], 1) == images
    assert 1 < factors["centers"] < factors["images"]
    assert f"{pixels:,}" in printed(capsys, str(table))


@pytest.mark.parametrize(
    ("card", "root", "levels"),
    [
        ("camvid", "camvid", {"pixels": 108.5, "images": 2.1}),
        ("ign_lidar_hd", "ign_lidarhd", {"points": 1466.6, "blocks": 15.3}),
    ],
)
def test_factors_of_real_files(card, root, levels, capsys):
    if not (DATA / root).exists():
        pytest.skip(f"{DATA / root} is not there")
    rows = json.loads(printed(capsys, card, "--root", str(DATA / root), "--json"))["levels"]
    factors = {row["level"]: round(row["imbalance_factor"], 1) for row in rows}
    assert factors.items() >= levels.items()
    assert "centers" in factors


def test_a_card_is_counted_into_a_folder(tmp_path, capsys):
    write_street(tmp_path, ((32, 40), (40, 32), (32, 32)))
    out = tmp_path / "out"
    text = printed(capsys, str(tmp_path / "street.yaml"), "--out", str(out), "--batch_size", "2")
    assert "street, train: 3 images" in text
    assert {path.name for path in out.iterdir()} == {
        ".equiseg",
        "classes.csv",
        "figures",
        "report.html",
        "statistics.json",
    }
    for figure in ("frequencies", "adjacency", "cooccurrence"):
        for suffix in ("png", "svg", "csv"):
            assert (out / "figures" / f"{figure}.{suffix}").stat().st_size > 0
    # What was written is counted data again.
    again = json.loads(printed(capsys, str(out / "statistics.json"), "--json"))
    assert again == DataProfile.load(out / "statistics.json").summary()
    assert again["batch_size"] == 2
    table = json.loads(printed(capsys, str(out / "classes.csv"), "--batch_size", "2", "--json"))
    assert table["levels"] == again["levels"]


def test_an_interrupted_count_goes_on(tmp_path, capsys, monkeypatch):
    write_street(tmp_path, ((32, 40), (40, 32), (32, 32)))
    last = tmp_path / "annotations" / "train" / "2.png"
    whole = last.read_bytes()
    last.write_bytes(b"no image")
    command = [str(tmp_path / "street.yaml"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"2\.png"):
        main(["stats", *command])
    last.write_bytes(whole)
    main(["stats", *command])
    assert "train: 3 images" in capsys.readouterr().out


def test_an_interrupted_count_of_own_data_goes_on(tmp_path, monkeypatch):
    (tmp_path / "own_masks.py").write_text(OWN_MASKS)
    monkeypatch.chdir(tmp_path)
    Path("broken").touch()
    command = ["stats", "own_masks.py:Masks", "--out", "out"]
    with pytest.raises(SystemExit, match="no mask 4"):
        main(command)
    assert Path("log").read_text().split().count("3") == 1
    Path("broken").unlink()
    main(command)
    assert Path("log").read_text().split().count("3") == 1  # remembered
    assert json.loads(Path("out/statistics.json").read_text())["num_images"] == 12
    assert [file.name for file in Path("out").glob("counting*")] == []


def test_json_goes_alone_to_standard_output(tmp_path, capsys):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "mask.png")
    summary = json.loads(printed(capsys, str(tmp_path), "--json", "--out", str(tmp_path / "out")))
    assert [row["name"] for row in summary["classes"]] == ["0", "1"]
    assert summary["context"]["neighbour_correlation"] < 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/x.csv"], r"nowhere/x\.csv"),
        (["t.csv", "--split", "val", "--root", "x"], "split, root must be left out"),
        (["unheard_of"], "no data card"),
    ],
)
def test_what_cannot_be_counted_is_one_line(arguments, message):
    with pytest.raises(SystemExit, match=message) as stopped:
        main(["stats", *arguments])
    assert str(stopped.value).startswith("equiseg stats: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
    ],
)
def test_numbers_below_the_least_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StatsOptions(**options)
