"""Which files a sample is read from, and whether they have changed since."""

from __future__ import annotations

import hashlib
import os
import struct
import time
from typing import Any, NamedTuple, Protocol

from equiseg.data.sample_cache import CachedData

# A file that changes twice within one tick of the file system's clock has the same times after the
# second change. Linux ticks every 1 to 10 ms, FAT every 2 s.
_TICK_NS, _COARSE_TICK_NS = 20_000_000, 2_000_000_000
_SECOND_NS = 1_000_000_000


class Origin(NamedTuple):
    """The origin of one sample.

    Attributes:
        name: What distinguishes samples of the same files: its name, or the number of its block.
        files: The paths of the files that it is read from.
    """

    name: str
    files: tuple[str, ...]


class FileData(Protocol):
    """Data that are read from files.

    Attributes:
        reading: Identifies the folder, and how its files become images and labels.
    """

    reading: str

    def origin(self, index: int) -> Origin:
        """The files of the sample at ``index``."""
        ...


class State(NamedTuple):
    """A sample as its files are at one moment.

    Attributes:
        key: Identifies the sample in every state.
        state: Sizes and times of its files; it differs after any change.
        settled: Whether a change after this moment will be visible in the times.
    """

    key: bytes
    state: bytes
    settled: bool = True


def file_data(data: Any) -> FileData | None:
    """The data with the files, which may be in a :class:`CachedData`; None if there are none."""
    source: Any = data.data if isinstance(data, CachedData) else data
    return source if hasattr(source, "origin") else None


def file_state(data: FileData, index: int) -> State | None:
    """The state of a sample's files now; None if one is missing."""
    origin = data.origin(index)
    numbers: list[int] = []
    settled = True
    now = time.time_ns()
    for file in origin.files:
        try:
            found = os.stat(file)  # noqa: PTH116 - faster, for tens of thousands of files
        except OSError:
            return None
        numbers += (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        tick = _TICK_NS if found.st_mtime_ns % _SECOND_NS else _COARSE_TICK_NS
        settled &= now - max(found.st_mtime_ns, found.st_ctime_ns) > tick
    key = os.fsencode("\0".join((origin.name, *origin.files)))
    return State(key, struct.pack(f"<{len(numbers)}q", *numbers), settled)


def has_files(key: bytes) -> bool:
    """Whether the first file of a key exists."""
    return os.path.exists(key.split(b"\0")[1])  # noqa: PTH110 - called for every file


def digest_of(*parts: object) -> str:
    """A short text that differs for parts whose ``repr`` differs."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]
