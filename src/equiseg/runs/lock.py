"""A lock on a folder: two commands must not write to the same folder at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder for this process; the lock ends with the process, even after a crash.

    Args:
        folder: Created if missing; it gets a file ``.lock``.

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
