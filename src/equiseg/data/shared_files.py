"""Refuse splits that share files: scores on trained samples mean nothing."""

from __future__ import annotations

import filecmp
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from equiseg.data.errors import DataError
from equiseg.foreign_files import FileError, list_files

_END = 4096  # bytes at both ends of a file that are compared first
_Sizes = tuple[tuple[str, int], ...]


def check_shared_files(title: str, splits: Mapping[str, Any]) -> None:
    """Refuse splits that share images or scans.

    Shared are images that are one file by any path, or equal files of one name; ``equiseg doctor``
    also finds copies under other names and in other formats. Shared are scans of equal files under
    any names. Only files of equal sizes are read.

    Args:
        title: Name of the data.
        splits: Data sets by the name of their split: their ``pairs`` of images and masks are
            compared, or the ``sources`` of their scans; without either, nothing is.

    Raises:
        DataError: Naming the files.
    """
    for what, attribute, find in (
        ("images", "pairs", _shared_images),
        ("scans", "sources", _shared_scans),
    ):
        known = {
            s: getattr(data, attribute) for s, data in splits.items() if hasattr(data, attribute)
        }
        if problems := [*_problems(known, find)]:
            heading = f"{title}: {what} in two splits, so scores would be too good to be true"
            raise DataError.listing(f"{heading}; keep one", problems)


def _problems(
    known: Mapping[str, Any], find: Callable[[Any, Any], Iterator[tuple[object, object]]]
) -> Iterator[str]:
    for (one, first), (other, second) in combinations(known.items(), 2):
        for twin, file in find(first, second):
            yield f"{file}: of {other}, also in {one} as {twin}"


def _shared_images(
    one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    first = _files(one)
    by_name: dict[tuple[str, int], list[str]] = {}
    for (_, size), file in first.items():
        by_name.setdefault((os.path.basename(file), size), []).append(file)  # noqa: PTH119
    for place, file in _files(other).items():
        alike = by_name.get((os.path.basename(file), place[1]), ())  # noqa: PTH119
        twin = first.get(place) or next((f for f in alike if _are_equal(f, file)), None)
        if twin is not None:
            yield twin, file


def _files(pairs: Sequence[tuple[str, str]]) -> dict[tuple[tuple[int, int], int], str]:
    """The images that exist, by device and inode, and by their size.

    This is the only loop here over all files of a data set: texts take half the time of ``Path``.
    """
    files = {}
    for image, _ in pairs:
        try:
            found = os.stat(image)  # noqa: PTH116
        except OSError:
            continue  # reported when it is read
        files[(found.st_dev, found.st_ino), found.st_size] = image
    return files


def _shared_scans(one: list[Path], other: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Scans of equal content; a scan is a file, or a folder of files with the same names."""
    first, second = _by_sizes(one), _by_sizes(other)
    for sizes in first.keys() & second.keys():  # few, as scans have different numbers of points
        by_ends: dict[int, list[Path]] = {}
        for scan in first[sizes]:
            by_ends.setdefault(_ends(scan, sizes), []).append(scan)
        for scan in second[sizes]:
            for twin in by_ends.get(_ends(scan, sizes), ()):
                if all(_are_equal(twin / name, scan / name) for name, _ in sizes):
                    yield twin, scan
                    break


def _by_sizes(scans: list[Path]) -> dict[_Sizes, list[Path]]:
    """Scans by the names and sizes of their files; "" is the name if the scan is a file."""
    found: dict[_Sizes, list[Path]] = {}
    for scan in scans:
        try:
            files = list_files(scan) if scan.is_dir() else [scan]
            sizes = tuple(
                ("" if file == scan else file.name, file.stat().st_size) for file in files
            )
        except (OSError, FileError):
            continue  # reported when it is read
        if any(size for _, size in sizes):
            found.setdefault(sizes, []).append(scan)
    return found


def _ends(scan: Path, sizes: _Sizes) -> int:
    """A checksum of both ends of the files of a scan."""
    checksum = 0
    for name, size in sizes:
        try:
            with (scan / name).open("rb") as file:
                checksum = zlib.crc32(file.read(_END), checksum)
                file.seek(max(size - _END, 0))
                checksum = zlib.crc32(file.read(_END), checksum)
        except OSError:
            continue  # reported when it is read
    return checksum


def _are_equal(one: str | Path, other: str | Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # reported when it is read
