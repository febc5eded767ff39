"""Every end of a command: a line and a status, no traceback."""

import errno
import os
import pickle
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from equiseg.cli.door import one_door
from equiseg.foreign_files import FileError

PATIENT = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, which may run the tests, ignores it
from equiseg.cli.door import one_door
from equiseg.whole_files import replaced
with one_door("train", "equiseg train", "; repeat the same command to resume"):
    with replaced(Path(sys.argv[1])) as unfinished:
        unfinished.write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def told(raiser) -> str:
    """What is said of an error; its status is 1."""
    with pytest.raises(SystemExit) as stopped, one_door("train", "equiseg train --out o", ""):
        raiser()
    assert isinstance(stopped.value.code, str)  # Python prints it and ends with 1
    assert "Traceback" not in stopped.value.code
    return stopped.value.code


def raised(error):
    def raiser():
        raise error

    return raiser


def saved(cache: Path) -> str:
    (file,) = (cache / "errors").iterdir()
    return file.read_text()


def test_a_file_that_cannot_be_used_is_one_line(cache):
    assert told(raised(FileError("a.png: is a folder"))) == "equiseg train: a.png: is a folder"
    assert not cache.exists()


def test_an_error_of_the_system_names_its_file(tmp_path):
    missing = tmp_path / "missing"
    assert (
        told(missing.read_text)
        == f"equiseg train: {missing}: No such file or directory; check the path"
    )


def test_an_error_with_a_name_that_no_file_can_have_is_told(cache):
    def reads(path):
        raise KeyError("x")

    exec("def opened(path, then):\n    then(path)", opener := {"__name__": "equiseg.data.reading"})
    for path in (Path("a" * 300), Path("a\0b"), Path("\ud800")):
        assert "KeyError" in told(lambda path=path: opener["opened"](path, reads))
    too_long = told(lambda: Path("a" * 300).read_text())
    assert too_long.endswith("File name too long; give a shorter name")


class Unspeakable(Exception):
    def __str__(self):
        raise TypeError("no words")


def test_an_error_while_an_error_is_told_is_told_too(cache, monkeypatch):
    text = told(raised(Unspeakable()))
    assert "sorry, this is a mistake of equiseg (Unspeakable, and TypeError" in text
    monkeypatch.delenv("EQUISEG_CACHE")
    monkeypatch.setattr(Path, "expanduser", raises(RuntimeError("no home")))
    monkeypatch.setattr("tempfile.gettempdir", raises(FileNotFoundError("no folder")))
    assert "could not be saved" in told(raised(KeyError("x")))


def raises(error):
    def raiser(*_):
        raise error

    return raiser


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("resume", ["; repeat the same command to resume", ""])
def test_a_full_disk_has_a_next_step(number, resume):
    def full():
        raise OSError(number, os.strerror(number), "out/last.ckpt")

    with pytest.raises(SystemExit) as stopped, one_door("train", "equiseg train", resume):
        full()
    cure = f"; free space, then repeat the same command{resume and ' to resume'}"
    assert stopped.value.code == f"equiseg train: out/last.ckpt: {os.strerror(number)}{cure}"


@pytest.mark.parametrize(
    "error",
    [
        EOFError("Ran out of input"),
        pickle.UnpicklingError("invalid load key"),
        zipfile.BadZipFile("File is not a zip file"),
        struct.error("unpack requires 4 bytes"),
        RecursionError("maximum recursion depth exceeded"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_libraries_about_files_are_one_line(error, cache):
    text = told(raised(error))
    assert text.count("\n") == 0
    assert "cannot be read" in text
    assert str(cache) in text


def test_a_library_that_breaks_on_a_file_in_a_reader_names_the_file(tmp_path):
    file = tmp_path / "result.json"
    file.write_text("{}")
    reader = {"__name__": "equiseg.records.reading", "Path": Path}
    exec("def read(path):\n    return {}['scores']", reader)
    text = told(lambda: reader["read"](file))
    assert text.startswith(f"equiseg train: {file}: cannot be read (KeyError: 'scores')")


def test_no_memory_has_a_cure(tmp_path):
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 1")):
        text = told(raised(error))
        assert "not enough memory" in text
        assert "--data.size" in text


@pytest.mark.parametrize("error", [KeyError("tail"), AssertionError(), ZeroDivisionError("by 0")])
def test_a_mistake_of_ours_is_an_apology_with_a_saved_traceback(error, cache):
    text = told(raised(error))
    kind = type(error).__name__
    assert text.startswith(f"equiseg train: sorry, this is a mistake of equiseg ({kind}")
    assert "please report it" in text
    found = saved(cache)
    assert found.startswith("equiseg train --out o\npython ")
    assert "Traceback (most recent call last)" in found


def test_the_words_of_a_library_keep_their_traceback(cache):
    text = told(lambda: int("seven"))
    assert text.startswith("equiseg train: invalid literal for int()")
    assert str(cache) in text
    assert "in <lambda>" in saved(cache)


def test_the_traceback_of_a_data_worker_is_left_out():
    text = (
        "Caught DataError in DataLoader worker process 0.\n"
        "Original Traceback (most recent call last):\n"
        '  File "loader.py", line 1, in fetch\n'
        "equiseg.data.errors.DataError: images that cannot be read (2):\n  a.png: cut\n"
    )
    assert told(raised(FileError(text))) == (
        "equiseg train: images that cannot be read (2):\n  a.png: cut"
    )


def test_texts_from_outside_cannot_move_the_cursor_and_are_cut():
    text = told(raised(FileError("\x1b[31m" + "a" * 5000 + "\n" + "b\n" * 100)))
    assert "\x1b" not in text
    assert r"\x1b[31m" in text
    assert len(text) < 1400
    assert text.endswith("more lines")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_command_removes_its_unfinished_file(name, tmp_path):
    number = getattr(signal, name)
    command = [sys.executable, "-c", PATIENT, str(tmp_path / "mask.png")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said.startswith("equiseg train: ")
    assert said.endswith("; repeat the same command to resume\n")
    assert not list(tmp_path.iterdir())


def test_signals_are_as_they_were_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with one_door("stats", "equiseg stats", ""):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_closed_pipe_is_no_error():
    code = (
        "from equiseg.cli.door import one_door\n"
        "with one_door('stats', 'equiseg stats', ''):\n"
        "    for _ in range(100_000): print('a line of counts')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_terminated_comparison_ends_with_its_own_status(tmp_path, monkeypatch):
    from equiseg.commands.run_comparison import run_comparison

    def terminated(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("equiseg.commands.run_comparison.run_study", terminated)
    plan = SimpleNamespace(out=tmp_path)
    with pytest.raises(SystemExit) as stopped, one_door("compare", "equiseg compare", ""):
        run_comparison(plan, 1, "equiseg compare")
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
