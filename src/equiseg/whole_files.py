"""Files that exist whole or not at all: written beside, flushed and renamed in the same folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_MARK = ".part-"
_LONGEST_NAME = 180  # bytes; file systems take 255, and the mark and a process id come before it


@contextmanager
def replaced(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path to write to, in the folder of ``path``, which becomes ``path`` at the end.

    Whatever ends the block early (an error, a signal, a full disk) leaves an earlier file as it
    was. What a killed process leaves is hidden, and removed by :func:`sweep`.

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
    end = os.fsdecode(os.fsencode(path.name)[-_LONGEST_NAME:])
    unfinished = path.with_name(f"{_MARK}{os.getpid()}-{end}")
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


def sweep(folder: Path, *, nested: bool = True) -> None:
    """Remove what killed processes left half-written in a folder.

    Args:
        folder: A folder that no other process writes to now: its lock is held.
        nested: Also below it.
    """
    for leftover in folder.rglob(f"{_MARK}*") if nested else folder.glob(f"{_MARK}*"):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
