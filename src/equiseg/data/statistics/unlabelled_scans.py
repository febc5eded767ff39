"""A card for scans that have none: classes and density are read from the files."""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.point_card import PointCard
from equiseg.data.points.formats.scans import chunks, find_scans, source_files
from equiseg.data.points.formats.table import FORMATS, holds_arrays
from equiseg.data.survey.asking import Question, ask_all, usable
from equiseg.data.survey.origins import Origin, digest_of
from equiseg.foreign_files import is_hidden
from equiseg.progress import Track, untracked

ALL = "all"  # the one split
# Other formats keep labels in separate files, so they need a card.
_FORMS = {row.pattern: row.name for row in FORMATS.values() if row.pattern}


def card_of_scans(
    source: Path,
    ignore_values: Sequence[int] = (),
    num_workers: int = 0,
    track: Track = untracked,
) -> PointCard:
    """Make a card for scans that have none: every code is a class, one split named "all".

    Scans that have not changed since an earlier call are not read again. The voxel is twice the
    mean distance of points over the ground, rounded to one digit, so that neighbouring points share
    a voxel or have adjacent ones.

    Args:
        source: A LAS, LAZ, PLY or NPZ file, a folder of files of one of these kinds, or a folder
            with the NPY files of one scan.
        ignore_values: Codes that mean "not labelled"; negative codes always do.
        num_workers: Worker processes that read; 0 reads in this process.
        track: Shows the progress over the scans.

    Raises:
        DataError: If a scan does not exist, cannot be read or has no labels, or there are fewer
            than two classes.
    """
    look = _card(source, {0: "0", 1: "1"}, (), voxel=1.0)
    answers = ask_all(_Scans(look), _LOOK, "codes", num_workers=num_workers, track=track)
    codes: set[int] = set()
    num_points, ground = 0, 0.0
    for _, (found, points, area) in usable(answers, f"{source}: scans that cannot be used"):
        codes.update(found)
        num_points += points
        ground += area
    ignored = {code for code in codes if code < 0} | set(ignore_values)
    classes = {code: str(code) for code in sorted(codes - ignored)}
    if len(classes) < 2:
        raise DataError(
            f"{source}: must hold at least 2 classes, got the codes {sorted(codes)[:8]}; name "
            "scans that are labelled"
        )
    voxel = float(f"{2 * math.sqrt(max(ground, 1e-9) / num_points):.1g}")
    return _card(source, classes, sorted(ignored), voxel)


class _Scans:
    """The scans of a card as samples of a survey."""

    def __init__(self, card: PointCard) -> None:
        self.card = card
        self.scans = find_scans(card, ALL)
        self.reading = digest_of(str(card.path), card.path.absolute(), card.form)

    def __len__(self) -> int:
        return len(self.scans)

    def origin(self, index: int) -> Origin:
        """The files of one scan."""
        scan = self.scans[index]
        return Origin(scan.name, tuple(map(str, source_files(self.card, scan))))


def _look(data: _Scans, index: int) -> tuple[list[int], int, float]:
    """The codes of a scan, its number of points, and the area of its ground in square meters."""
    scan = data.scans[index]
    codes: set[int] = set()
    num_points = 0
    least_2, most_2 = np.full(2, math.inf), np.full(2, -math.inf)
    for cloud in chunks(data.card, scan, ()):
        if cloud.codes_N is None:
            raise DataError(f"{scan.path}: has no labels, so there is nothing to count")
        kept = slice(None) if cloud.withheld_N is None else ~cloud.withheld_N
        codes.update(np.unique(cloud.codes_N[kept]).tolist())
        num_points += len(cloud)
        least_2 = np.minimum(least_2, cloud.xyz_N3[:, :2].min(axis=0))
        most_2 = np.maximum(most_2, cloud.xyz_N3[:, :2].max(axis=0))
    return sorted(codes), num_points, float(np.prod(most_2 - least_2))


_LOOK = Question("codes", 1, _look)


def _card(
    source: Path, classes: dict[int, str], ignore_values: Sequence[int], voxel: float
) -> PointCard:
    if source.is_dir() and not holds_arrays(source):
        root, kinds = source, [pattern for pattern in _FORMS if _matches(source, pattern)]
        points = "".join(kinds)
    else:  # a file, or a folder with one scan
        root, points = source.parent, glob.escape(source.name)
        kinds = [pattern for pattern in _FORMS if _fits(source, pattern)]
        kinds = ["*.npz"] if source.is_dir() else kinds
    if len(kinds) != 1:
        raise DataError(
            f"{source}: must be masks, a LAS, LAZ, PLY or NPZ file, or a folder of files of one of "
            f"these kinds, got {' and '.join(kinds) or 'none of them'}; for other data write a "
            "card (docs/how-to/data_card.md)"
        )
    return PointCard(
        name=source.stem,
        classes=classes,
        ignore_values=ignore_values,
        ignore_index=max(255, len(classes)),
        root=str(root),
        form=_FORMS[kinds[0]],
        points=points.replace("{", "{{").replace("}", "}}"),
        splits={ALL: ""},
        voxel=voxel,
    )


def _matches(folder: Path, pattern: str) -> bool:
    """Whether a folder has a file that fits a pattern."""
    return any(_fits(file, pattern) and not is_hidden(file) for file in folder.iterdir())


def _fits(file: Path, pattern: str) -> bool:
    """Whether a name fits a pattern, in upper or lower case."""
    return Path(file.name.lower()).match(pattern)
