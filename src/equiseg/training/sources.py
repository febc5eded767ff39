"""Opening the data a run names: checked, counted and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from equiseg.data import CachedData, DataError, PointCard, load_card, survey
from equiseg.data.sample import DataSpec
from equiseg.data.scenes import SceneData
from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.training.config import BUILT_IN, DataConfig
from equiseg.training.weights import ScanReading

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class OpenedData:
    """The splits of a data set that a run needs, every file read once.

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


def open_split(
    config: DataConfig,
    split: str,
    track: Callable[[Iterable[Any], str], Iterable[Any]] = lambda items, _: items,
) -> Any:
    """One split as it is described: ``SegmentationData`` or ``PointData``.

    Images are not read yet; scans are, the first time, to be cut into blocks.

    Args:
        config: Which data.
        split: Name of the split.
        track: Wraps (scans, what is done), to show progress.

    Raises:
        DataError: If the card, the folders or file partners are missing.
    """
    if config.card in BUILT_IN:
        if split not in SPLITS:
            raise DataError(f"the built-in scenes have the splits {list(SPLITS)}, got {split!r}")
        number = config.num_scenes[SPLITS.index(split)]
        if config.card == "scenes":
            return SceneData(config.scenes, split, number)
        from equiseg.data.points.rooms import RoomData

        return RoomData(config.rooms, split, number)
    card = load_card(config.card, config.root)
    if isinstance(card, PointCard):
        if config.size is not None:
            raise DataError(
                f"data.size is for images, got {config.size} for the scans of card {card.name}; "
                "leave it out"
            )
        from equiseg.data.points.folder import PointFolder

        return PointFolder(card, split, track=lambda scans: track(scans, f"scans of {split}"))
    from equiseg.data.image_folder import ImageFolder

    return ImageFolder(card, split, config.size)


def scan_reading(config: DataConfig) -> ScanReading | None:
    """How the scans of these data are read; None for images."""
    if config.card == "rooms":
        from equiseg.data.points.rooms import RoomData

        voxel, codes = RoomData.voxel_size, tuple(range(config.rooms.num_classes))
        return ScanReading("ply", ("rgb",), voxel, None, 0.0, codes)
    card = None if config.card in BUILT_IN else load_card(config.card, config.root)
    return ScanReading.of(card) if isinstance(card, PointCard) else None


def count_classes(config: DataConfig) -> int:
    """Number of classes of the data, from the card alone.

    Raises:
        DataError: If the card does not tell.
    """
    if config.card == "scenes":
        return len(SceneData(config.scenes, "train", 1).classes)
    if config.card == "rooms":
        return config.rooms.num_classes
    return len(load_card(config.card, config.root).class_names())


def split_names(config: DataConfig) -> list[str]:
    """The splits the data have, of train, val and test.

    Raises:
        DataError: If train or val is missing.
    """
    if config.card in BUILT_IN:
        return list(SPLITS)
    card = load_card(config.card, config.root)
    known = card.split_names()
    if missing := [name for name in ("train", "val") if name not in known]:
        raise DataError(
            f"card {card.name} has no split {' or '.join(missing)}, only {known}; "
            "training needs both, val to choose the weights by"
        )
    return [name for name in SPLITS if name in known]


def open_data(
    config: DataConfig,
    track: Callable[[Iterable[Any], str], Iterable[Any]] = lambda items, _: items,
) -> OpenedData:
    """Open all splits, read every file once, keep what fits in memory.

    Args:
        config: Which data.
        track: Wraps (samples or scans, what is done), to show progress.

    Raises:
        DataError: Listing everything that cannot be used.
    """
    splits: dict[str, CachedData] = {}
    counts: dict[str, Tensor] = {}
    problems: list[str] = []
    budget = int(config.cache_gb * 1e9)
    for name in split_names(config):
        try:
            cached = CachedData(open_split(config, name, track), budget)
            counts[name] = survey(cached, name, lambda indices, n=name: track(indices, n))  # type: ignore[misc]
        except DataError as error:
            problems.append(str(error))
            continue
        budget -= cached.kept_bytes
        splits[name] = cached
    if problems:
        raise DataError("\n".join(dict.fromkeys(problems)))
    return OpenedData(splits, counts["train"], next(iter(splits.values())).spec)
