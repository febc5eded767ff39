"""Holding a folder: two commands that write to the same one would spoil each other's work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; however it ends, the folder is free again.

    Args:
        folder: Made if need be; it gets a file ``.lock``.

    Raises:
        ValueError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"out: another process is writing to {folder}; wait for it, stop it, or choose another "
            "folder"
        ) from None
    try:
        yield
    finally:
        lock.release()
