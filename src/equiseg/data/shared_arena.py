"""SharedArena: memory that forked processes share and fill piece by piece."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ALIGN = 64  # bytes: a piece begins at a cache line
_ABSENT, _UNFINISHED = 0, -1
_SECONDS = 5.0  # a lock is held for microseconds, unless its holder was killed


class SharedArena:
    """Memory in which pieces are written once and never moved or freed.

    Make it before worker processes start: forked workers share it. Its pages take up memory only
    once they are written. Pickled, as for a process that is not forked, it arrives without room.

    Args:
        max_bytes: Size in bytes, at most the memory of the machine. 0 has room for nothing.

    Attributes:
        memory: All bytes; None if there is no room.
    """

    def __init__(self, max_bytes: int) -> None:
        self.memory = _mapped(max_bytes)
        self._end = places(1)
        self._lock = multiprocessing.Lock()
        self._full = self.memory is None

    def __reduce__(self) -> tuple[type[SharedArena], tuple[int]]:
        return SharedArena, (0,)

    @property
    def used_bytes(self) -> int:
        """Bytes of all pieces so far, written by any process."""
        return self._end[0]

    def reserve(self, table: memoryview, index: int, size: int) -> int | None:
        """The place for a new piece, which this process then writes and publishes.

        Args:
            table: Places of pieces by index, made by :func:`places`.
            index: Index of the piece.
            size: Its bytes.

        Returns:
            None if there is no room, or a process has already reserved a place for it.
        """
        with self._locked() as locked:
            begin = max(aligned(self._end[0]), _ALIGN)  # no piece is at 0, which means absent
            if not locked or self.memory is None or table[index] != _ABSENT:
                return None
            if begin + size > len(self.memory):
                return None
            table[index] = _UNFINISHED
            self._end[0] = begin + size
        return begin

    def publish(self, table: memoryview, index: int, place: int) -> None:
        """Let all processes read a piece that is written."""
        with self._locked() as locked:  # its barriers order the piece before its place
            if locked:
                table[index] = place

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether the lock is held; if a process was killed while it held it, no more is kept."""
        locked = not self._full and self._lock.acquire(timeout=_SECONDS)
        self._full = not locked
        try:
            yield locked
        finally:
            if locked:
                self._lock.release()


def places(number: int) -> memoryview:
    """A table of 64-bit integers that forked processes share, all 0: no piece is there."""
    return memoryview(mmap.mmap(-1, 8 * max(number, 1))).cast("q")


def aligned(place: int) -> int:
    """The next place at which a tensor may begin."""
    return -(-place // _ALIGN) * _ALIGN


def _mapped(max_bytes: int) -> mmap.mmap | None:
    size = max_bytes
    if hasattr(os, "sysconf"):  # not on Windows
        size = min(size, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if size <= 0:
        return None
    try:
        return mmap.mmap(-1, size)
    except OSError as error:
        warnings.warn(
            f"no {size / 1e9:.2g} GB of memory to share between processes ({error}), so samples "
            "are read again each time; lower data.cache_gb",
            stacklevel=3,
        )
        return None
