"""What is believed of a file from outside."""

import os

import pytest

from equiseg.foreign_files import (
    FileError,
    check_count,
    check_file,
    check_memory,
    list_files,
    name_key,
    read_text,
)


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "photo.png")
    (tmp_path / "photo.jpg").write_bytes(b"1234")
    for path, told in (
        (tmp_path / "photo.png", "named pipe"),
        (tmp_path, "folder"),
        ("/dev/zero", "device"),
        (tmp_path / "missing", "No such file"),
    ):
        with pytest.raises(FileError, match=f"^{path}: .*{told}"):
            check_file(path)
    assert check_file(tmp_path / "photo.jpg") == 4


@pytest.mark.parametrize("count", [-1, 11, 2**62])
def test_a_count_must_fit_into_the_file(tmp_path, count):
    with pytest.raises(FileError, match="points, but the file has room for 10; "):
        check_count(tmp_path / "a.las", "points", count, 20, 200)
    check_count(tmp_path / "a.las", "points", 10, 20, 200)


def test_the_memory_of_one_file_is_limited(tmp_path):
    check_memory(tmp_path / "a.png", "an image", 1 << 30)
    with pytest.raises(FileError, match=r"a.png: an image needs 2.0 GiB of memory, at most 1.0"):
        check_memory(tmp_path / "a.png", "an image", 2 << 30)


def test_texts_are_utf8_with_or_without_a_byte_order_mark(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_bytes("\ufeffroad".encode())
    assert read_text(file) == "road"
    file.write_bytes("Straße".encode("latin1"))
    with pytest.raises(FileError, match=f"^{file}: not UTF-8 at byte 4 .0xdf.; save it"):
        read_text(file)
    with pytest.raises(FileError, match="is it the right file"):
        read_text(file, most=0)


def test_files_are_listed_without_hidden_ones(tmp_path):
    for name in ("b.PNG", "a.png", "._a.png", "Thumbs.db", "notes.txt", "city/c.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png").touch()
    names = [file.name for file in list_files(tmp_path, (".png",))]
    assert names == ["a.png", "b.PNG"]
    nested = [file.name for file in list_files(tmp_path, (".png",), nested=True)]
    assert nested == ["a.png", "b.PNG", "c.png"]
    with pytest.raises(FileError, match="missing"):
        list_files(tmp_path / "missing")


def test_a_name_is_the_same_in_both_forms_of_an_accent():
    assert name_key("cafe\u0301.png") == name_key("caf\u00e9.png")


def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path):
    (tmp_path / "city").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.png").touch()
    (tmp_path / "city/loop").symlink_to(tmp_path)
    (tmp_path / "city/linked").symlink_to(tmp_path / "other")
    found = [str(f.relative_to(tmp_path)) for f in list_files(tmp_path, {".png"}, nested=True)]
    assert found == ["city/linked/a.png", "other/a.png"]
