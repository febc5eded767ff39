"""Checks of a data set before training.

Every sample is read once, and only counts and fingerprints are kept. Each check is a function from
these records to findings; a new check is one more function in ``_CHECKS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from equiseg.data.card import DataCard
from equiseg.data.doctor import label_checks, sample_checks
from equiseg.data.doctor.checkup import Checkup, PlannedTraining
from equiseg.data.doctor.finding import SEVERITIES, Finding, Severity, by_severity
from equiseg.data.doctor.opening import open_splits
from equiseg.data.doctor.record import read_split
from equiseg.data.sample import DataSpec
from equiseg.progress import Track, untracked

__all__ = [
    "SEVERITIES",
    "Finding",
    "PlannedTraining",
    "Severity",
    "by_severity",
    "examine",
    "open_splits",
]

_CHECKS = (
    sample_checks.broken_files,
    label_checks.colour_masks,
    label_checks.strange_values,
    sample_checks.leaks,
    sample_checks.too_few,
    sample_checks.sizes,
    sample_checks.turned,
    sample_checks.brightness,
    label_checks.absent_classes,
    label_checks.rare_classes,
    label_checks.small_classes,
    label_checks.ignored_pixels,
    sample_checks.duplicates,
    sample_checks.dimensions,
)


def examine(
    splits: Mapping[str, Any],
    planned: PlannedTraining = PlannedTraining(),  # noqa: B008 - frozen
    *,
    num_workers: int = 0,
    track: Track = untracked,
) -> list[Finding]:
    """Read all samples once and report problems for training.

    Args:
        splits: ``SegmentationData`` or ``PointData`` by the name of the split: train, val, test.
            :func:`open_splits` opens the splits of a source.
        planned: Options of the planned training.
        num_workers: Worker processes that read samples; 0 reads in this process.
        track: Shows the progress over samples.

    Returns:
        Findings, errors first.

    Raises:
        ValueError: If there is no split.
    """
    if not splits:
        raise ValueError("splits must hold at least one data set by name, got none")
    first = next(iter(splits.values()))
    card = getattr(first, "card", None)
    checkup = Checkup(
        DataSpec.of(first),
        {name: read_split(data, name, num_workers, track) for name, data in splits.items()},
        not isinstance(card, DataCard) or not isinstance(card.classes, Mapping),
        planned,
    )
    return by_severity(finding for check in _CHECKS for finding in check(checkup))
