"""No member of an archive is left out silently, whatever its end record states."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch

from equiseg import zip_files
from equiseg.data import DataError
from equiseg.data.points.formats.array_files import array_names, load_arrays
from equiseg.foreign_files import FileError
from equiseg.zip_files import open_zip

END = 22  # bytes of an end record without a comment
ARRAYS = {"xyz": np.zeros((4, 3)), "label": np.arange(4), "segment": np.arange(4)[::-1]}


def members(file):
    with open_zip(file) as archive:
        return [(member.filename, archive.read(member)) for member in archive.infolist()]


@pytest.fixture
def scan(tmp_path):
    np.savez_compressed(tmp_path / "scan.npz", **ARRAYS)
    return tmp_path / "scan.npz"


def test_archives_of_numpy_torch_and_others_are_opened(tmp_path, scan):
    assert [name for name, _ in members(scan)] == ["xyz.npy", "label.npy", "segment.npy"]
    torch.save({"weight": torch.ones(3)}, tmp_path / "last.ckpt")  # has records for large archives
    assert len(members(tmp_path / "last.ckpt")) > 3
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.comment = b"nothing in it"
    assert members(tmp_path / "empty.zip") == []


@pytest.mark.parametrize("kind", ["npz", "ckpt"])
def test_no_changed_byte_of_the_directory_drops_a_member(tmp_path, scan, kind):
    if kind == "ckpt":
        torch.save({"weight": torch.ones(3), "bias": torch.zeros(2)}, tmp_path / "last.ckpt")
    file = scan if kind == "npz" else tmp_path / "last.ckpt"
    content, whole = file.read_bytes(), members(file)
    start = content.index(b"PK\1\2")
    rng = np.random.default_rng(0)
    for place in range(start, len(content)):
        for value in {0, 255, content[place] ^ 1, content[place] ^ 128, int(rng.integers(256))}:
            changed = bytearray(content)
            changed[place] = value
            file.write_bytes(changed)
            try:
                found = members(file)
            except Exception:  # zipfile raises many kinds
                continue
            assert found == whole, (place, value)


def end_record(count, size, start):
    return b"PK\5\6" + b"".join(
        number.to_bytes(width, "little")
        for number, width in ((0, 2), (0, 2), (count, 2), (count, 2), (size, 4), (start, 4), (0, 2))
    )


def test_a_directory_that_begins_late_is_refused(scan):
    content = scan.read_bytes()
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)
    end = len(content) - END
    for count, size, start in ((3, end - second, second), (2, end - second, second - 5)):
        scan.write_bytes(content[:-END] + end_record(count, size, start))
        assert len(zipfile.ZipFile(scan).infolist()) == 2  # what Python makes of it
        with pytest.raises(zipfile.BadZipFile):
            open_zip(scan)
        for read in (array_names, lambda file: load_arrays(file, {"xyz": "xyz"})):
            with pytest.raises(DataError, match=r"scan\.npz: is not a readable \.npz"):
                read(scan)


def test_two_members_of_one_name_are_refused(scan):
    with zipfile.ZipFile(scan, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("xyz.npy", b"")
    with pytest.raises(zipfile.BadZipFile, match="two members have one name"):
        open_zip(scan)


def test_the_number_of_members_is_limited(scan, monkeypatch):
    for limit, told in (("MOST_ENTRIES", "at most 2 in"), ("_MOST_DIRECTORY", " in 2 are")):
        with monkeypatch.context() as patch, pytest.raises(zipfile.BadZipFile, match=told):
            patch.setattr(zip_files, limit, 2)
            open_zip(scan)


def test_what_is_no_archive_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(FileError, match="named pipe"):
        open_zip(tmp_path / "pipe.npz")
    for content in (b"", b"PK\5\6", b"PK\5\6" + bytes(9), b"text" * 99):
        (tmp_path / "scan.npz").write_bytes(content)
        with pytest.raises(zipfile.BadZipFile, match="no end of an archive"):
            open_zip(tmp_path / "scan.npz")


def test_files_in_front_of_an_archive_are_refused(tmp_path, scan):
    memory = io.BytesIO(b"#!/bin/sh\n" + scan.read_bytes())
    (tmp_path / "script.npz").write_bytes(memory.getvalue())
    with pytest.raises(zipfile.BadZipFile, match="its directory is stated to end at byte"):
        open_zip(tmp_path / "script.npz")
