"""The scans of a card in any format: names, files and points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from equiseg.data.errors import DataError
from equiseg.data.point_card import PointCard
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.label_choice import USUAL
from equiseg.data.points.formats.table import find_format
from equiseg.data.split_lists import repeated
from equiseg.foreign_files import is_hidden, name_key
from equiseg.foreign_text import short

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
        DataError: If the card has no such split, a listed scan is missing or listed twice, no scan
            is found, two scans have the same name, or another split has the same scan.
    """
    if split not in card.splits:
        raise DataError(
            f"card {card.name} has no split {split!r:.80}, only {short(card.split_names())}"
        )
    scans = _scans_of(card, split)
    if isinstance(card.splits, Mapping):
        _refuse_shared(card, split, scans)
    return scans


def _scans_of(card: PointCard, split: str) -> list[Scan]:
    """The scans of a split, whatever the other splits have."""
    chosen = card.splits[split] if isinstance(card.splits, Mapping) else None
    if find_format(card.form).official is not None:
        return _official_scans(card, split, chosen)
    whole = chosen if isinstance(chosen, str) else ""
    # If {split} is replaced by nothing, "{split}/*.laz" becomes "/*.laz".
    pattern = card.points.format(split=whole).lstrip("/")
    scans = _matching(card, pattern)
    if chosen is not None and not isinstance(chosen, str):
        scans = _listed(scans, chosen, f"{card.name}/{split}", card.path / pattern)
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


def chunks(
    card: PointCard, scan: Scan, wanted: Sequence[str], *, labels: bool = True
) -> Iterator[PointCloud]:
    """The points of a scan in the order of its file, in parts.

    Args:
        card: The card with the format of the file.
        scan: The scan to read.
        wanted: Names of the attributes to read.
        labels: Whether to look for labels.

    Raises:
        DataError: If the file cannot be used; see the readers.
    """
    label_name = (card.label_name or USUAL) if labels else None
    return find_format(card.form).read(scan.path, wanted, card.path, label_name)


def _listed(scans: list[Scan], names: Sequence[str], title: str, pattern: Path) -> list[Scan]:
    """The scans that a split lists, by name."""
    by_name = {name_key(scan.name): scan for scan in scans}
    with_suffix = {name_key(scan.path.name): name_key(scan.name) for scan in scans}
    keys = [name_key(name) for name in names]
    keys = [key if key in by_name else with_suffix.get(key, key) for key in keys]
    if missing := [name for name, key in zip(names, keys, strict=True) if key not in by_name]:
        raise DataError.listing(f"{title}: no scan of this name matches {pattern}", missing)
    if twice := repeated(keys):
        raise DataError.listing(f"{title}: scans listed twice; list each once", twice)
    return [by_name[key] for key in sorted(keys)]


def _refuse_shared(card: PointCard, split: str, scans: list[Scan]) -> None:
    """Refuse a scan in two splits: scores on scans of training or selection mean nothing."""
    mine = {scan.path.resolve(): scan.path for scan in scans}
    assert isinstance(card.splits, Mapping)
    official = find_format(card.form).official is not None
    for other in card.split_names():
        if other == split or (official and card.splits[other] != card.splits[split]):
            continue  # official splits share nothing, and may have tens of thousands of scans
        try:
            theirs = {scan.path.resolve() for scan in _scans_of(card, other)}
        except DataError:
            continue  # reported when that split is opened
        if shared := [str(path) for place, path in mine.items() if place in theirs]:
            heading = f"card {card.name}: scans of {split} are also in {other}; list each in one"
            raise DataError.listing(heading, shared)


def _official_scans(card: PointCard, split: str, official: object) -> list[Scan]:
    """Scans of a benchmark with official splits."""
    if not isinstance(official, str):
        raise DataError(
            f"card {card.name}: form {card.form!r} has splits of its own, so splits must map "
            f"{split!r:.80} to train, val or test, got {short(official or list(card.splits))}"
        )
    layout = find_format(card.form).official
    assert layout is not None
    return [Scan(name, path) for name, path in layout(card.path, official)]


def _matching(card: PointCard, pattern: str) -> list[Scan]:
    """Scans under the root that match the pattern, by name."""
    parts = PurePath(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    paths: dict[str, list[Path]] = {}
    try:
        found = sorted(card.path.glob(_any_case(pattern)))
    except (OSError, ValueError) as error:  # a part of more than 255 characters; "**.laz"
        raise DataError(
            f"card {card.name}: cannot look in {card.path} for points {short(pattern)}: "
            f"{getattr(error, 'strerror', None) or error}"
        ) from None
    for path in found:
        if path.is_dir() and not find_format(card.form).folders:
            continue
        *folders, last = path.relative_to(card.path).parts[fixed:]
        if any(is_hidden(Path(part)) for part in (*folders, last)):
            continue
        paths.setdefault("_".join([*folders, last if path.is_dir() else path.stem]), []).append(
            path
        )
    if twice := {name: same for name, same in paths.items() if len(same) > 1}:
        problems = [f"{name}: {', '.join(map(str, same))}" for name, same in twice.items()]
        heading = f"card {card.name}: scans with the same name; narrow points down to one of them"
        raise DataError.listing(heading, problems)
    return [Scan(name, same[0]) for name, same in sorted(paths.items())]


def _any_case(pattern: str) -> str:
    """The pattern with a suffix in any case: cameras and scanners write .LAZ as well as .laz."""
    folder, dot, suffix = pattern.rpartition(".")
    if not dot or "/" in suffix:
        return pattern
    letters, inside = [], False
    for letter in suffix:
        inside = letter == "[" or (inside and letter != "]")
        both = letter.lower() + letter.upper() if letter.isalpha() else letter
        letters.append(f"[{both}]" if len(both) == 2 and not inside else both)
    return f"{folder}.{''.join(letters)}"
