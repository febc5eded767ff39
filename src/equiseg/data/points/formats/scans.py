"""The scans of a card, however they are written: which there are, their files, their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from equiseg.data.card import PointCard
from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud

COMPUTED = ("height",)  # features that no file has to hold
_NO_FEATURES = ("one",)
_CHANNEL_NAMES = {
    "rgb": ("red", "green", "blue"),
    "returns": ("return_number", "num_returns"),
    "normal": ("normal_x", "normal_y", "normal_z"),
}
_WILDCARDS = frozenset("*?[")
_LABEL_MAP = "scannetv2-labels.combined.tsv"


class Scan(NamedTuple):
    """One scan on disk.

    Attributes:
        name: Unique among the scans of its split, and fit for a file name.
        path: Its file, or the folder of its files.
    """

    name: str
    path: Path


def channel_names(features: Sequence[str]) -> tuple[str, ...]:
    """Names of the channels of some features: ("rgb", "height") are red, green, blue, height.

    No features are the single channel "one", a constant 1.
    """
    names = [name for feature in features for name in _CHANNEL_NAMES.get(feature, (feature,))]
    return tuple(names) or _NO_FEATURES


def find_scans(card: PointCard, split: str) -> list[Scan]:
    """The scans of a split, in the order of their names.

    A scan is named by what the wildcards of ``card.points`` found, without suffix:
    ``tiles/*.laz`` names ``tiles/a.laz`` "a", and ``*/office.npz`` names ``area1/office.npz``
    "area1_office". Scans of SemanticKITTI are named as "08_000123", those of ScanNet by scene.

    Args:
        card: The description of the data set.
        split: One of its splits. Where the card deals blocks to the splits, every split has all
            scans.

    Raises:
        DataError: If the card has no such split, a scan that it lists is missing, none is found,
            or two would have the same name.
    """
    if split not in card.splits:
        raise DataError(f"card {card.name} has no split {split!r}, only {card.split_names()}")
    chosen = card.splits[split] if isinstance(card.splits, Mapping) else None
    if card.form in ("semantic_kitti", "scannet200"):
        return _official_scans(card, split, chosen)
    whole = chosen if isinstance(chosen, str) else ""
    # Where the split has no name of its own, "{split}/*.laz" leaves "/*.laz".
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
    """The files that a scan is read from: as long as none of them changes, neither does it."""
    files = [scan.path]
    if scan.path.is_dir():
        files = sorted(file for file in scan.path.iterdir() if file.is_file())
    if card.form == "semantic_kitti":
        files.append(scan.path.parent.parent / "labels" / f"{scan.path.stem}.label")
    if card.form == "scannet200":
        files += [card.path / _LABEL_MAP, card.path / "splits" / _LABEL_MAP]
    return [file for file in files if file.exists()]


def chunks(card: PointCard, scan: Scan, wanted: Sequence[str]) -> Iterator[PointCloud]:
    """The points of a scan in the order of its file; LAS and LAZ in parts, other forms at once.

    Args:
        card: Says how the file is written.
        scan: Which.
        wanted: Names of the attributes to read.

    Raises:
        DataError: If the file cannot be used; see the readers.
    """
    # Each form's reader is imported here: one needs no package that only another one does.
    if card.form == "las":
        from equiseg.data.points.formats.las import las_chunks

        yield from las_chunks(scan.path, wanted)
    elif card.form == "ply":
        from equiseg.data.points.formats.ply import read_ply

        yield read_ply(scan.path, wanted)
    elif card.form == "arrays":
        from equiseg.data.points.formats.arrays import read_arrays

        yield read_arrays(scan.path, wanted)
    elif card.form == "semantic_kitti":
        from equiseg.data.points.formats.semantic_kitti import read_scan

        yield read_scan(scan.path, wanted)
    else:
        from equiseg.data.points.formats.scannet import read_scene

        yield read_scene(scan.path, wanted, root=card.path)


def _official_scans(card: PointCard, split: str, official: object) -> list[Scan]:
    """Scans of a benchmark that lists its own splits."""
    if not isinstance(official, str):
        raise DataError(
            f"card {card.name}: form {card.form!r} has splits of its own, so splits must map "
            f"{split!r} to train, val or test, got {official or list(card.splits)}"
        )
    if card.form == "semantic_kitti":
        from equiseg.data.points.formats import semantic_kitti

        found = semantic_kitti.find_scans(card.path, official)
        return [Scan(f"{path.parent.parent.name}_{path.stem}", path) for path in found]
    from equiseg.data.points.formats import scannet

    return [Scan(path.name, path) for path in scannet.find_scenes(card.path, official)]


def _matching(card: PointCard, pattern: str) -> list[Scan]:
    """Scans under the root that match, by name."""
    parts = PurePath(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    paths: dict[str, list[Path]] = {}
    for path in sorted(card.path.glob(pattern)):
        if path.is_dir() and card.form != "arrays":
            continue
        *folders, last = path.relative_to(card.path).parts[fixed:]
        paths.setdefault("_".join([*folders, last if path.is_dir() else path.stem]), []).append(
            path
        )
    if twice := {name: same for name, same in paths.items() if len(same) > 1}:
        problems = [f"{name}: {', '.join(map(str, same))}" for name, same in twice.items()]
        heading = f"card {card.name}: scans of one name; narrow points down to one of them"
        raise DataError.listing(heading, problems)
    return [Scan(name, same[0]) for name, same in sorted(paths.items())]
