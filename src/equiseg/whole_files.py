"""Files and folders that exist whole or not at all: written next to their place, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_MARK = ".part-"
_LONGEST_NAME = 180  # bytes; file systems allow 255, including the mark and a process id
# In an unfinished folder; the system frees it when the process ends, even if it is killed.
_LOCK = ".lock"


@contextmanager
def replaced(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path to write to, in the folder of ``path``, which becomes ``path`` at the end.

    If the block ends early (an error, a signal, a full disk), an earlier file does not change. The
    temporary file of a killed process is hidden; :func:`sweep` removes it.

    Args:
        path: The file; its folder is made where it does not exist.
        durable: Also wait until the disk has the content, so that a power cut loses nothing. False
            for many files that can be made again.

    Yields:
        The path to write to; it has the suffix of ``path``, by which libraries choose a format.

    Raises:
        OSError: If it cannot be written; the error names ``path``.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
        >>> with replaced(target) as unfinished:
        ...     _ = unfinished.write_text("1 2 3")
        >>> target.read_text()
        '1 2 3'
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()  # the file is replaced, not the link to it
    if path.exists() and not (path.is_file() or path.is_dir()):
        if path.is_fifo():  # an open would wait for a reader; without one this raises an OSError
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        yield path  # a device or a pipe, such as /dev/stdout, has no content to replace
        return
    unfinished = path.with_name(f"{_MARK}{os.getpid()}-{_shortened(path.name)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        mode = unfinished.stat().st_mode
        yield unfinished
        unfinished.chmod(mode)  # some libraries make files that only their owner may read
        if durable:
            _flush(unfinished)
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(unfinished), unfinished):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    if durable:
        _flush(path.parent)


def replace_file(path: Path, write: Callable[[IO[bytes]], Any], *, durable: bool = True) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file; its folder is made where it does not exist.
        write: Writes the content to an open file.
        durable: As in :func:`replaced`.
    """
    with replaced(path, durable=durable) as unfinished, unfinished.open("wb") as file:
        write(file)


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text in UTF-8, whole or not at all; line ends stay as they are."""
    replace_file(path, lambda file: file.write(text.encode()), durable=durable)


@contextmanager
def unfinished_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty hidden folder for unfinished files, used by one process at a time.

    Another process that wants the folder of this name waits. The folder is removed at the end,
    unless it was renamed; if the process is killed, :func:`sweep_folders` removes it later.

    Args:
        parent: The folder it is made in; made where it does not exist.
        name: Distinguishes folders for different results.

    Yields:
        The folder.

    Raises:
        OSError: If it cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f"{_MARK}{_shortened(name)}"
    lock = _locked(folder)
    if lock is None:  # locks are not supported there: each process has its own folder
        folder = parent / f"{_MARK}{os.getpid()}-{_shortened(name)}"
        folder.mkdir(exist_ok=True)
    try:
        _empty(folder)
        yield folder
    finally:
        if folder.is_dir():
            with suppress(OSError):  # a disk that was lost; swept later
                _empty(folder)
                (folder / _LOCK).unlink(missing_ok=True)
                folder.rmdir()
        if lock is not None:
            os.close(lock)


def rename_folder(folder: Path, target: Path) -> None:
    """Put an unfinished folder in the place of ``target``, which is removed if it exists."""
    old = target.with_name(f"{_MARK}{os.getpid()}-old-{_shortened(target.name)}")
    if target.exists():
        target.rename(old)
    (folder / _LOCK).unlink(missing_ok=True)
    folder.rename(target)
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def sweep(folder: Path, *, nested: bool = True) -> None:
    """Remove the temporary files of killed processes in a folder.

    Args:
        folder: A folder that no other process writes to now: its lock is held.
        nested: Also below it.
    """
    for leftover in [*(folder.rglob if nested else folder.glob)(f"{_MARK}*")]:
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sweep_folders(parent: Path) -> None:
    """Remove unfinished folders whose process has ended; others may write to ``parent`` now."""
    for folder in parent.glob(f"{_MARK}*"):
        if fcntl is None or not folder.is_dir() or folder.is_symlink():
            continue
        with suppress(OSError):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder, which is made; None without locks."""
    if fcntl is None:
        return None
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the process before has just removed the folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_ino == (folder / _LOCK).stat().st_ino:
                return lock
        except FileNotFoundError:
            pass
        except OSError:
            os.close(lock)
            (folder / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
            return None
        os.close(lock)  # its folder was removed or renamed meanwhile


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[-_LONGEST_NAME:])


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
