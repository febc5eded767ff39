"""SemanticKITTI's official layout, and errors in it."""

import numpy as np
import pytest

from equiseg.data.errors import DataError
from equiseg.data.points.formats.semantic_kitti import (
    CLASSES,
    IGNORED_IDS,
    LEARNING_MAP,
    find_scans,
    read_scan,
)

POINTS = np.array([[1, 2, 3, 0.25], [-4, 5, 6, 0.5], [7, 8, -9, 1]], "<f4")
RAW = np.array([10, 252 | 7 << 16, 99], "<u4")  # the second: class 252 of instance 7


@pytest.fixture
def root(tmp_path):
    for name in ("00", "08", "10", "11"):
        for kind, suffix, values in (("velodyne", "bin", POINTS), ("labels", "label", RAW)):
            folder = tmp_path / "sequences" / name / kind
            folder.mkdir(parents=True)
            if name != "11" or kind == "velodyne":
                values.tofile(folder / f"000001.{suffix}")
                values.tofile(folder / f"000000.{suffix}")
    return tmp_path


def scan(root, name="00"):
    return root / f"sequences/{name}/velodyne/000000.bin"


def test_splits_are_the_official_sequences(root):
    folder = root / "sequences"
    expected = [
        folder / f"{s}/velodyne/{n}.bin" for s in ("00", "10") for n in ("000000", "000001")
    ]
    assert find_scans(root, "train") == expected
    assert [file.parts[-3] for file in find_scans(root, "val")] == ["08", "08"]
    assert [file.parts[-3] for file in find_scans(root, "test")] == ["11", "11"]


def test_the_parent_folder_is_accepted(root, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    (above / "dataset").symlink_to(root)
    assert len(find_scans(above, "train")) == 4


def test_a_scan_with_its_labels(root):
    cloud = read_scan(scan(root), ["intensity"])
    np.testing.assert_array_equal(cloud.xyz_N3, POINTS[:, :3])
    np.testing.assert_array_equal(cloud.attributes["intensity"], POINTS[:, 3:])
    np.testing.assert_array_equal(cloud.codes_N, [10, 252, 99])


def test_a_scan_without_labels(root):
    assert read_scan(scan(root, "11")).codes_N is None


def test_the_nineteen_classes():
    assert len(CLASSES) == 19
    assert sorted(set(LEARNING_MAP.values())) == list(range(19))
    named = {raw: CLASSES[k] for raw, k in LEARNING_MAP.items()}
    assert (named[10], named[252], named[60], named[81]) == ("car", "car", "road", "traffic-sign")
    assert len(LEARNING_MAP) + len(IGNORED_IDS) == 34  # all ids the data set has
    assert not set(LEARNING_MAP) & set(IGNORED_IDS)


def test_an_unknown_split_or_an_empty_folder(root):
    with pytest.raises(DataError, match=r"no split 'trainval', only \['train', 'val', 'test'\]"):
        find_scans(root, "trainval")
    with pytest.raises(DataError, match="no scans"):
        find_scans(root / "sequences", "val")


@pytest.mark.parametrize(
    ("points", "labels", "said"),
    [
        (POINTS.tobytes()[:-4], RAW, r"000000\.bin: 44 bytes are no whole number of points"),
        (POINTS, RAW.tobytes()[:-1], r"000000\.label: 11 bytes are no whole number of points"),
        (POINTS, RAW[:2], "3 points, but labels of shape"),
        (POINTS[:0], RAW[:0], "no points"),
        (POINTS * np.float32([np.nan, 1, 1, 1]), RAW, "NaN or infinite at 3 of 3 points"),
        (POINTS * np.float32([1, 1, 1, np.inf]), RAW, r"remissions must be in \[0, 1\], got inf"),
        (POINTS + np.float32([1e7, 0, 0, 0]), RAW, "float32 resolve only 1 m"),
    ],
)
def test_broken_scans(root, points, labels, said):
    file = scan(root)
    file.write_bytes(bytes(points))
    (file.parents[1] / "labels/000000.label").write_bytes(bytes(labels))
    with pytest.raises(DataError, match=said):
        read_scan(file, ["intensity"])


def test_missing_colours_are_named(root):
    with pytest.raises(DataError, match=r"no attribute 'rgb', only \['intensity'\]"):
        read_scan(scan(root), ["rgb"])


def test_a_missing_scan_is_named(root):
    with pytest.raises(DataError, match="No such file"):
        read_scan(root / "velodyne/000000.bin")


def test_five_columns_are_refused(root):
    file = scan(root)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(200, 3)) * 30, rng.integers(0, 255, (200, 2))], 1)
    rows.astype(np.float32).tofile(file)  # 200 points of five numbers are 250 of four
    with pytest.raises(DataError, match=r"remissions must be in \[0, 1\].*nuScenes"):
        read_scan(file)
