"""The one table of what ``--data.card`` may name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from equiseg.data import DataError, PointCard, load_card
from equiseg.data.config import BUILT_IN, DataConfig
from equiseg.data.synthetic.pictures.dataset import SceneData

SPLITS = ("train", "val", "test")


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
        from equiseg.data.synthetic.scans.dataset import RoomData

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
    from equiseg.data.images.folder import ImageFolder

    return ImageFolder(card, split, config.size)


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
