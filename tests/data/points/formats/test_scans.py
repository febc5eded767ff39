import numpy as np
import pytest

from equiseg.data import DataError, PointCard
from equiseg.data.points.formats.ply import write_ply
from equiseg.data.points.formats.scans import Scan, channel_names, chunks, find_scans, source_files

XYZ = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])


def card_of(root, form="arrays", **fields):
    fields = {"classes": ["a", "b"], "splits": {"train": "train", "val": ["x1", "x2"]}} | fields
    return PointCard(name="t", form=form, root=str(root), **fields)


def save(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, xyz=XYZ, labels=np.array([0, 1]))


def names(card, split):
    return [scan.name for scan in find_scans(card, split)]


def test_channels_have_names():
    features = ["rgb", "nir", "returns", "normal", "height", "amplitude"]
    assert channel_names(features) == (
        *("red", "green", "blue", "nir", "return_number", "num_returns"),
        *("normal_x", "normal_y", "normal_z", "height", "amplitude"),
    )
    assert channel_names([]) == ("one",)


def test_a_split_by_its_folder_or_by_names(tmp_path):
    save(tmp_path / "train" / "b.npz", tmp_path / "train" / "a.npz")
    save(*(tmp_path / f"x{i}.npz" for i in (1, 2, 3)))
    card = card_of(tmp_path, points="{split}/*.npz")
    assert names(card, "train") == ["a", "b"]
    assert find_scans(card, "val") == [Scan(n, tmp_path / f"{n}.npz") for n in ("x1", "x2")]


def test_where_blocks_are_dealt_every_split_has_all_scans(tmp_path):
    save(tmp_path / "a.npz", tmp_path / "b.npz")
    card = card_of(tmp_path, points="*.npz", splits=["train", "val"], block=10.0)
    assert names(card, "train") == names(card, "val") == ["a", "b"]


def test_names_come_from_the_text_of_the_wildcards(tmp_path):
    save(tmp_path / "areas" / "1" / "hall.npz", tmp_path / "areas" / "2" / "hall.npz")
    card = card_of(tmp_path, points="areas/*/*.npz", splits=["train", "val"], block=1.0)
    assert names(card, "train") == ["1_hall", "2_hall"]
    folders = card_of(tmp_path, points="areas/*", splits=["train", "val"], block=1.0)
    assert names(folders, "train") == ["1", "2"]
    one = card_of(tmp_path, points="areas/1/hall.npz", splits=["train", "val"], block=1.0)
    assert names(one, "train") == ["hall"]


def test_two_scans_of_one_name_are_refused(tmp_path):
    save(tmp_path / "a.npz")
    write_ply(tmp_path / "a.ply", XYZ)
    with pytest.raises(DataError, match=r"a: .*a\.npz, .*a\.ply"):
        find_scans(card_of(tmp_path, points="*", splits=["train", "val"], block=1.0), "val")


def test_missing_scans_and_splits_are_named(tmp_path):
    save(tmp_path / "x1.npz")
    card = card_of(tmp_path, points="{split}/*.npz")
    with pytest.raises(DataError, match=r"(?s)no scan of this name .*\(1\):\s+x2$"):
        find_scans(card, "val")
    with pytest.raises(DataError, match=r"no scans for split 'train' match .*train.\*\.npz"):
        find_scans(card, "train")
    with pytest.raises(DataError, match=r"no split 'test', only \['train', 'val'\]"):
        find_scans(card, "test")


def test_every_form_is_read(tmp_path):
    write_ply(tmp_path / "a.ply", XYZ, labels_N=np.array([0, 1]))
    save(tmp_path / "a.npz")
    for form, file in (("ply", "a.ply"), ("arrays", "a.npz")):
        card = card_of(tmp_path, form, points="*", splits={"all": ""})
        (cloud,) = chunks(card, Scan("a", tmp_path / file), [])
        assert np.array_equal(cloud.xyz_N3, XYZ)
        assert cloud.codes_N.tolist() == [0, 1]


def test_semantic_kitti_has_its_own_layout(tmp_path):
    velodyne = tmp_path / "sequences" / "08" / "velodyne"
    labels = velodyne.parent / "labels"
    velodyne.mkdir(parents=True)
    labels.mkdir()
    np.ones((2, 4), np.float32).tofile(velodyne / "000123.bin")
    np.array([40, 48], np.uint32).tofile(labels / "000123.label")
    card = card_of(tmp_path, "semantic_kitti", splits={"val": "val", "mine": ["08_000123"]})
    (scan,) = find_scans(card, "val")
    assert scan.name == "08_000123"
    assert source_files(card, scan) == [scan.path, labels / "000123.label"]
    (cloud,) = chunks(card, scan, ["intensity"])
    assert cloud.codes_N.tolist() == [40, 48]
    with pytest.raises(DataError, match="map 'mine' to train, val or test"):
        find_scans(card, "mine")


def test_a_scan_of_many_files_depends_on_all_of_them(tmp_path):
    folder = tmp_path / "room"
    folder.mkdir()
    np.save(folder / "coord.npy", XYZ)
    np.save(folder / "segment.npy", np.array([0, 1]))
    card = card_of(tmp_path, points="*", splits={"all": ""})
    files = source_files(card, Scan("room", folder))
    assert [file.name for file in files] == ["coord.npy", "segment.npy"]


def test_hidden_files_are_no_scans_and_suffixes_have_any_case(tmp_path):
    save(tmp_path / "train" / "a.npz", tmp_path / "train" / "b.npz")
    (tmp_path / "train" / "b.npz").rename(tmp_path / "train" / "b.NPZ")
    (tmp_path / "train" / "._a.npz").write_bytes(b"\0\5\x16\7")
    save(tmp_path / "train" / ".ipynb_checkpoints" / "a-checkpoint.npz")
    for pattern in ("{split}/*.npz", "{split}/*.np[z]"):
        assert names(card_of(tmp_path, points=pattern), "train") == ["a", "b"]


def test_a_scan_listed_twice(tmp_path):
    save(tmp_path / "x1.npz", tmp_path / "x2.npz")
    card = card_of(tmp_path, points="*.npz", splits={"val": ["x1", "x2", "x1.npz"]})
    with pytest.raises(DataError, match=r"(?s)listed twice.*x1$"):
        find_scans(card, "val")


def test_a_listed_scan_may_have_its_suffix_and_either_form_of_accents(tmp_path):
    save(tmp_path / "caf\u00e9.npz")
    for name in ("cafe\u0301", "cafe\u0301.npz"):
        card = card_of(tmp_path, points="*.npz", splits={"val": [name]})
        assert names(card, "val") == ["caf\u00e9"]


def test_no_scan_is_in_two_splits(tmp_path):
    save(tmp_path / "x1.npz", tmp_path / "x2.npz")
    splits = {"train": ["x1", "x2"], "val": ["x2"]}
    card = card_of(tmp_path, points="*.npz", splits=splits)
    for split, other in (("train", "val"), ("val", "train")):
        with pytest.raises(DataError, match=rf"(?s)scans of {split} are also in {other}.*x2\.npz"):
            find_scans(card, split)
    apart = card_of(tmp_path, points="*.npz", splits=splits | {"train": ["x1"]})
    assert names(apart, "val") == ["x2"]


def test_a_card_chooses_the_labels(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, label=np.array([5, 6]), truth=np.array([0, 1]))
    scan = Scan("a", tmp_path / "a.npz")
    (cloud,) = chunks(card_of(tmp_path, points="{split}/*", label_name="truth"), scan, [])
    assert cloud.codes_N.tolist() == [0, 1]
    (cloud,) = chunks(card_of(tmp_path, points="{split}/*"), scan, [], labels=False)
    assert cloud.codes_N is None
    with pytest.raises(DataError, match="label_name has no meaning for form 'semantic_kitti'"):
        card_of(tmp_path, "semantic_kitti", label_name="truth")
    with pytest.raises(DataError, match="label_name must be the name"):
        card_of(tmp_path, points="*", label_name="")
