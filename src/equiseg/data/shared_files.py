"""Splits that share image files: a test of what was trained on says nothing."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from equiseg.data.errors import DataError


def check_shared_files(title: str, splits: Mapping[str, Any]) -> None:
    """Refuse splits that share images: one file by any path, or equal files of one name.

    Only files of one name and size are compared byte by byte. ``equiseg doctor`` also finds copies
    under other names and in other formats.

    Args:
        title: Name of the data.
        splits: Data sets by the name of their split; those without ``pairs`` are not compared.

    Raises:
        DataError: Naming the files.
    """
    known = {split: _files(data.pairs) for split, data in splits.items() if hasattr(data, "pairs")}
    problems = []
    for (one, first), (other, second) in combinations(known.items(), 2):
        by_name: dict[tuple[str, int], list[Path]] = {}
        for (_, size), file in first.items():
            by_name.setdefault((file.name, size), []).append(file)
        for place, file in second.items():
            twin = first.get(place) or next(
                (f for f in by_name.get((file.name, place[1]), ()) if _are_equal(f, file)), None
            )
            if twin is not None:
                problems.append(f"{file}: of {other}, also in {one} as {twin}")
    if problems:
        heading = f"{title}: images in two splits, so scores would be too good to be true; keep one"
        raise DataError.listing(heading, problems)


def _files(pairs: list[tuple[Path, Path]]) -> dict[tuple[tuple[int, int], int], Path]:
    """The images that exist, by what identifies a file on its disk and by their size."""
    files = {}
    for image, _ in pairs:
        try:
            found = image.stat()
        except OSError:
            continue  # told when it is read
        files[(found.st_dev, found.st_ino), found.st_size] = image
    return files


def _are_equal(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # told when it is read
