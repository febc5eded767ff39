"""Threads that read and write files while the network computes.

Decoding and compressing release Python's lock, so they run in parallel with the network. Memory is
bounded: a few files are read before their turn, and a few predictions wait to be written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from equiseg.evaluation.file_failures import FileFailures

_AHEAD = 2  # files that are read before their turn
_BEHIND = 4  # predictions that are being written or wait for it
_WRITERS = 3  # a GPU predicts faster than one thread compresses

Item = TypeVar("Item")
Read = TypeVar("Read")


@contextmanager
def file_threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that finish the file they are at, and begin no other, when the block is left.

    Args:
        number: How many.
    """
    pool = ThreadPoolExecutor(number, thread_name_prefix="files")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item]
) -> Generator[Future[Read], None, None]:
    """The items read, in order, while the next ones are being read in one thread.

    Args:
        read: Reads one item.
        items: What to read.

    Yields:
        For each item a future; its ``result()`` waits, and raises what reading raised.
    """
    with file_threads(1) as pool:
        ahead: deque[Future[Read]] = deque()
        for item in items:
            ahead.append(pool.submit(read, item))
            if len(ahead) > _AHEAD:
                yield ahead.popleft()
        while ahead:
            yield ahead.popleft()


class WriteBehind:
    """Writes in threads, several files at a time.

    Args:
        pool: The threads.
        failures: Collects errors of files.
    """

    def __init__(self, pool: ThreadPoolExecutor, failures: FileFailures) -> None:
        self._pool = pool
        self._failures = failures
        self._pending: deque[tuple[int, Path, Future[None]]] = deque()

    def add(self, place: int, file: Path, write: Callable[[Any], None], what: Any) -> None:
        """Write, as soon as there is room.

        Args:
            place: Of the file among all files.
            file: The file that was read, for messages.
            write: Writes one prediction.
            what: The prediction.
        """
        self.wait(_BEHIND - 1)
        self._pending.append((place, file, self._pool.submit(write, what)))

    def wait(self, most: int = 0) -> None:
        """Wait until at most so many files are left to write."""
        while len(self._pending) > most:
            place, file, future = self._pending.popleft()
            with self._failures.caught(place, file):
                future.result()


@contextmanager
def write_behind(failures: FileFailures) -> Iterator[WriteBehind]:
    """Threads that write; at the end of the block all files are written.

    Args:
        failures: Collects errors of files.
    """
    with file_threads(_WRITERS) as pool:
        writes = WriteBehind(pool, failures)
        yield writes
        writes.wait()
