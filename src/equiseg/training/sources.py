"""Opening the data a run names: checked, counted and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from equiseg.data import CachedData, DataError, SegmentationData, load_card, survey
from equiseg.data.scenes import SceneData
from equiseg.imbalance import ClassStatistics
from equiseg.training.config import DataConfig

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class OpenedData:
    """The splits of a data set that a run needs, every file read once.

    Attributes:
        splits: The samples of each split.
        statistics: Class statistics of each split.
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class that stands for "nothing named", if there is one.
    """

    splits: dict[str, CachedData]
    statistics: dict[str, ClassStatistics]
    classes: tuple[str, ...]
    ignore_index: int
    background: int | None


def open_split(config: DataConfig, split: str) -> SegmentationData:
    """One split as it is described, nothing read yet.

    Raises:
        DataError: If the card, the folders or file partners are missing.
    """
    if config.card == "scenes":
        if split not in SPLITS:
            raise DataError(f"the built-in scenes have the splits {list(SPLITS)}, got {split!r}")
        return SceneData(config.scenes, split, config.num_scenes[SPLITS.index(split)])
    from equiseg.data.image_folder import ImageFolder

    return ImageFolder(load_card(config.card, config.root), split, config.size)


def split_names(config: DataConfig) -> list[str]:
    """The splits the data have, of train, val and test.

    Raises:
        DataError: If train or val is missing.
    """
    if config.card == "scenes":
        return list(SPLITS)
    card = load_card(config.card, config.root)
    if missing := [name for name in ("train", "val") if name not in card.splits]:
        raise DataError(
            f"card {card.name} has no split {' or '.join(missing)}, only {list(card.splits)}; "
            "training needs both, val to choose the weights by"
        )
    return [name for name in SPLITS if name in card.splits]


def open_data(
    config: DataConfig,
    track: Callable[[Iterable[int], str], Iterable[int]] = lambda indices, _: indices,
) -> OpenedData:
    """Open all splits, read every file once, keep what fits in memory.

    Args:
        config: Which data.
        track: Wraps (indices, split name), to show progress.

    Raises:
        DataError: Listing everything that cannot be used.
    """
    splits: dict[str, CachedData] = {}
    statistics: dict[str, ClassStatistics] = {}
    problems: list[str] = []
    budget = int(config.cache_gb * 1e9)
    for name in split_names(config):
        try:
            cached = CachedData(open_split(config, name), budget)
            statistics[name] = survey(cached, name, lambda indices, n=name: track(indices, n))  # type: ignore[misc]
        except DataError as error:
            problems.append(str(error))
            continue
        budget -= cached.kept_bytes
        splits[name] = cached
    if problems:
        raise DataError("\n".join(problems))
    first = next(iter(splits.values()))
    return OpenedData(splits, statistics, first.classes, first.ignore_index, first.background)
