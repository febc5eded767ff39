"""The data of a run: opened, checked, counted and held in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from equiseg.data import CachedData, DataError, survey_samples
from equiseg.data.class_looks import ClassLooks
from equiseg.data.config import DataConfig
from equiseg.data.points.folder import PointFolder
from equiseg.data.points.reading import ScanReading
from equiseg.data.sample import DataSpec
from equiseg.data.shared_arena import SharedArena
from equiseg.data.shared_files import check_shared_files
from equiseg.data.sources import find_source, training_splits
from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.progress import Track, untracked


@dataclass(frozen=True)
class OpenedData:
    """The splits of a data set that a run needs, every sample checked.

    Attributes:
        splits: The samples of each split.
        counts_SK: (S, K) int64 labels of each class in each of the S training samples.
        spec: What the data are.
    """

    splits: dict[str, CachedData]
    counts_SK: Tensor
    spec: DataSpec

    @cached_property
    def statistics(self) -> ClassStatistics:
        """Of the training split."""
        return ClassStatistics.from_counts(self.counts_SK)

    @property
    def groups(self) -> FrequencyGroups:
        """Head, common and tail."""
        return frequency_groups(self.spec, self.statistics.pixels_K)


def frequency_groups(spec: DataSpec, pixels_K: Tensor) -> FrequencyGroups:
    """Head, common and tail: the benchmark's own, or thirds by frequency.

    Args:
        spec: What the data are.
        pixels_K: (K,) labels of each class in training.
    """
    if spec.groups is None:
        return FrequencyGroups.from_counts(pixels_K)
    ids = {name: k for k, name in enumerate(spec.classes)}
    by_id = {
        group: sorted((ids[name] for name in names), key=lambda k: -int(pixels_K[k]))
        for group, names in spec.groups.items()
    }
    return FrequencyGroups.from_mapping(by_id)


def scan_reading(config: DataConfig) -> ScanReading | None:
    """How the scans of these data are read; None for images."""
    return find_source(config).reading()


def class_looks(config: DataConfig, spec: DataSpec) -> ClassLooks:
    """How the classes of these data are written into files and drawn."""
    return replace(find_source(config).looks(), background=spec.background)


def open_data(
    config: DataConfig,
    track: Track = untracked,
) -> OpenedData:
    """Open all splits and check every sample, unless it was checked before and has not changed.

    Samples that are read are kept in memory for training, as many as fit; the others when a data
    worker first reads them.

    Args:
        config: Which data.
        track: Shows the progress over samples or scans.

    Raises:
        DataError: Listing everything that cannot be used.
    """
    arena = SharedArena(int(config.cache_gb * 1e9))
    source = find_source(config)
    splits: dict[str, CachedData] = {}
    counts: dict[str, Tensor] = {}
    problems: list[str] = []
    opened: dict[str, Any] = {}
    for name in training_splits(source):
        try:
            opened[name] = source.open(name, track)
            splits[name] = CachedData(opened[name], arena)
            counts[name] = _checked(splits[name], name, config.num_workers, track)
        except DataError as error:
            problems.append(str(error))
    try:
        check_shared_files(config.card, opened)
    except DataError as error:
        problems.append(str(error))
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))
    return OpenedData(splits, counts["train"], splits["train"].spec)


def _checked(cached: CachedData, name: str, num_workers: int, track: Track) -> Tensor:
    """(S, K) labels of each class in each sample of a split, after a check of every sample."""
    if isinstance(cached.data, PointFolder):  # checked and counted when its scans were stored
        return cached.data.counts_SK
    surveyed = survey_samples(cached, name, num_workers=num_workers, track=track)
    cached.sizes = surveyed.sizes
    return surveyed.counts_SK
