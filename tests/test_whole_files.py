"""Files are written whole or not at all."""

import errno
import os

import pytest

from equiseg.whole_files import (
    rename_folder,
    replace_file,
    replace_text,
    replaced,
    sweep,
    sweep_folders,
    unfinished_folder,
)


def leftovers(folder):
    return [file for file in folder.iterdir() if file.name.startswith(".part-")]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, error):
    file = tmp_path / "record"
    replace_text(file, "old")

    def fail(opened):
        opened.write(b"half of the n")
        raise error

    with pytest.raises(type(error)) as raised:
        replace_file(file, fail)
    assert file.read_bytes() == b"old"
    assert not leftovers(tmp_path)
    if isinstance(error, OSError):
        assert str(file) in str(raised.value)


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), replaced(tmp_path / "out"):
        (tmp_path / "elsewhere").read_bytes()


def test_a_folder_that_may_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=str(tmp_path / "file")):
        replace_text(tmp_path / "file" / "out.txt", "text")


def test_the_place_to_write_keeps_suffix_and_folder(tmp_path):
    with replaced(tmp_path / ("x" * 240 + ".nii.gz"), durable=False) as unfinished:
        assert unfinished.parent == tmp_path
        assert unfinished.name.endswith(".nii.gz")
        unfinished.write_bytes(b"all of it")
    assert (tmp_path / ("x" * 240 + ".nii.gz")).read_bytes() == b"all of it"


def test_a_file_may_be_read_by_whom_others_may_be(tmp_path):
    (tmp_path / "plain").touch()
    with replaced(tmp_path / "kept") as unfinished:
        unfinished.unlink()
        os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY, 0o600))
    assert (tmp_path / "kept").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_process_left_is_swept(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".part-17-last.ckpt").write_bytes(b"half")
    (tmp_path / "kept.part-1").write_bytes(b"whole")
    sweep(tmp_path)
    assert not leftovers(tmp_path / "checkpoints")
    assert (tmp_path / "kept.part-1").exists()


def test_an_unfinished_folder_is_removed(tmp_path):
    with pytest.raises(KeyError), unfinished_folder(tmp_path, "a") as folder:
        (folder / "b").mkdir()
        assert folder.name.startswith(".part-")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_folder_takes_the_place_of_another(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with unfinished_folder(tmp_path, "a") as folder:
        (folder / "new").touch()
        rename_folder(folder, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_only_folders_of_ended_processes_are_swept(tmp_path):
    (tmp_path / ".part-left" / "deep").mkdir(parents=True)
    with unfinished_folder(tmp_path, "now") as folder:
        sweep_folders(tmp_path)
        assert [*tmp_path.iterdir()] == [folder]


def test_sweeping_removes_folders(tmp_path):
    (tmp_path / ".part-left" / "deep").mkdir(parents=True)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/numbers").write_text("1")
    (tmp_path / "link").symlink_to(tmp_path / "real/numbers")
    replace_text(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/numbers").read_text() == "2"
    assert not leftovers(tmp_path) + leftovers(tmp_path / "real")


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_text(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(OSError, match=str(pipe)):  # nobody reads: no waiting
        replace_text(pipe, "text")
