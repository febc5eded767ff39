"""Images in two splits are found by path, by link and by equal content under one name; scans are
found by equal content."""

import os
import shutil
from types import SimpleNamespace

import pytest

from equiseg.data import DataError
from equiseg.data.shared_files import check_shared_files


def split(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.png").write_bytes(content)
    pairs = [(file, file) for file in sorted(folder.iterdir())]
    return SimpleNamespace(pairs=pairs)


def test_files_of_one_name_and_other_content_are_no_copies(tmp_path):
    splits = {"train": split(tmp_path / "a", x=b"1", y=b"2"), "val": split(tmp_path / "b", x=b"3")}
    check_shared_files("toy", splits | {"test": SimpleNamespace()})


def test_copies_links_and_one_folder_by_two_paths_are_named(tmp_path):
    train = split(tmp_path / "a", x=b"1", y=b"2", z=b"3")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a/x.png", tmp_path / "b/x.png")
    os.link(tmp_path / "a/y.png", tmp_path / "b/other.png")
    val = split(tmp_path / "b", z=b"4")
    with pytest.raises(DataError, match=r"toy: images in two splits.*\(2\):") as caught:
        check_shared_files("toy", {"train": train, "val": val})
    assert f"b/x.png: of val, also in train as {tmp_path / 'a/x.png'}" in str(caught.value)
    assert f"b/other.png: of val, also in train as {tmp_path / 'a/y.png'}" in str(caught.value)
    with pytest.raises(DataError, match=r"\(3\):"):
        check_shared_files("toy", {"train": train, "test": split(tmp_path / "b" / ".." / "a")})


def scans(*paths):
    return SimpleNamespace(sources=list(paths))


def test_scans_of_equal_content_are_named_whatever_their_names(tmp_path):
    long = bytes(range(256)) * 100
    for name, content in (
        ("a", long),
        ("b", long),
        ("middle", long[:9000] + b"x" + long[9001:]),
        ("end", long[:-1] + b"x"),
        ("other", long + b"x"),
    ):
        (tmp_path / f"{name}.npz").write_bytes(content)
    a, b, middle, end, other = (
        tmp_path / f"{name}.npz" for name in ("a", "b", "middle", "end", "other")
    )
    check_shared_files(
        "toy", {"train": scans(a), "val": scans(middle, end, other), "test": scans()}
    )
    check_shared_files("toy", {"train": scans(a, b), "val": scans(tmp_path / "gone.npz")})
    with pytest.raises(DataError, match=r"toy: scans in two splits.*\(1\):") as caught:
        check_shared_files("toy", {"train": scans(a, middle), "val": scans(b, end)})
    assert f"{b}: of val, also in train as {a}" in str(caught.value)


def test_a_scan_that_is_a_folder_is_compared_file_by_file(tmp_path):
    for scan, color in (("one", b"1"), ("two", b"2"), ("copy", b"1")):
        (tmp_path / scan).mkdir()
        (tmp_path / scan / "coord.npy").write_bytes(b"xyz")
        (tmp_path / scan / "color.npy").write_bytes(color)
    one, two, copy = (tmp_path / scan for scan in ("one", "two", "copy"))
    check_shared_files("toy", {"train": scans(one), "val": scans(two)})
    with pytest.raises(DataError, match=r"copy: of val, also in train as .*one"):
        check_shared_files("toy", {"train": scans(one), "val": scans(two, copy)})
