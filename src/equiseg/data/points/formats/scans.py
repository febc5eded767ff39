"""The scans of a card in any format: names, files and points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from equiseg.data.card import PointCard
from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.table import find_format

COMPUTED = ("height",)  # features that are not read from files
_NO_FEATURES = ("one",)
_CHANNEL_NAMES = {
    "rgb": ("red", "green", "blue"),
    "returns": ("return_number", "num_returns"),
    "normal": ("normal_x", "normal_y", "normal_z"),
}
_WILDCARDS = frozenset("*?[")


class Scan(NamedTuple):
    """One scan on disk.

    Attributes:
        name: Name of the scan, unique in its split and valid as a file name.
        path: Its file, or the folder of its files.
    """

    name: str
    path: Path


def channel_names(features: Sequence[str]) -> tuple[str, ...]:
    """Names of the channels of some features: ("rgb", "height") are red, green, blue, height.

    Without features, the single channel is "one", a constant 1.
    """
    names = [name for feature in features for name in _CHANNEL_NAMES.get(feature, (feature,))]
    return tuple(names) or _NO_FEATURES


def find_scans(card: PointCard, split: str) -> list[Scan]:
    """The scans of a split, in the order of their names.

    A scan's name is the text that the wildcards of ``card.points`` matched, without suffix:
    ``tiles/*.laz`` names ``tiles/a.laz`` "a", and ``*/office.npz`` names ``area1/office.npz``
    "area1_office". Scans of SemanticKITTI have names like "08_000123", scans of ScanNet the name
    of their scene.

    Args:
        card: The description of the data set.
        split: Name of a split. If the card deals blocks to the splits, every split has all scans.

    Raises:
        DataError: If the card has no such split, a listed scan is missing, no scan is found, or two
            scans have the same name.
    """
    if split not in card.splits:
        raise DataError(f"card {card.name} has no split {split!r}, only {card.split_names()}")
    chosen = card.splits[split] if isinstance(card.splits, Mapping) else None
    if find_format(card.form).official is not None:
        return _official_scans(card, split, chosen)
    whole = chosen if isinstance(chosen, str) else ""
    # If {split} is replaced by nothing, "{split}/*.laz" becomes "/*.laz".
    pattern = card.points.format(split=whole).lstrip("/")
    scans = _matching(card, pattern)
    if chosen is not None and not isinstance(chosen, str):
        by_name = {scan.name: scan for scan in scans}
        if missing := [name for name in chosen if name not in by_name]:
            heading = f"{card.name}/{split}: no scan of this name matches {card.path / pattern}"
            raise DataError.listing(heading, missing)
        scans = [by_name[name] for name in sorted(set(chosen))]
    if not scans:
        raise DataError(
            f"card {card.name}: no scans for split {split!r} match {card.path / pattern}; check "
            "points, form and splits of the card, and the data root"
        )
    return scans


def source_files(card: PointCard, scan: Scan) -> list[Path]:
    """All files that a scan is read from."""
    files = [scan.path]
    if scan.path.is_dir():
        files = sorted(file for file in scan.path.iterdir() if file.is_file())
    files += find_format(card.form).companions(scan.path, card.path)
    return [file for file in files if file.exists()]


def chunks(card: PointCard, scan: Scan, wanted: Sequence[str]) -> Iterator[PointCloud]:
    """The points of a scan in the order of its file; LAS and LAZ in parts, other formats at once.

    Args:
        card: The card with the format of the file.
        scan: The scan to read.
        wanted: Names of the attributes to read.

    Raises:
        DataError: If the file cannot be used; see the readers.
    """
    return find_format(card.form).read(scan.path, wanted, card.path)


def _official_scans(card: PointCard, split: str, official: object) -> list[Scan]:
    """Scans of a benchmark with official splits."""
    if not isinstance(official, str):
        raise DataError(
            f"card {card.name}: form {card.form!r} has splits of its own, so splits must map "
            f"{split!r} to train, val or test, got {official or list(card.splits)}"
        )
    layout = find_format(card.form).official
    assert layout is not None
    return [Scan(name, path) for name, path in layout(card.path, official)]


def _matching(card: PointCard, pattern: str) -> list[Scan]:
    """Scans under the root that match the pattern, by name."""
    parts = PurePath(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    paths: dict[str, list[Path]] = {}
    for path in sorted(card.path.glob(pattern)):
        if path.is_dir() and not find_format(card.form).folders:
            continue
        *folders, last = path.relative_to(card.path).parts[fixed:]
        paths.setdefault("_".join([*folders, last if path.is_dir() else path.stem]), []).append(
            path
        )
    if twice := {name: same for name, same in paths.items() if len(same) > 1}:
        problems = [f"{name}: {', '.join(map(str, same))}" for name, same in twice.items()]
        heading = f"card {card.name}: scans with the same name; narrow points down to one of them"
        raise DataError.listing(heading, problems)
    return [Scan(name, same[0]) for name, same in sorted(paths.items())]
