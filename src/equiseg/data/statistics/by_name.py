"""Opening what a user names to have it counted: a card, built-in data, bare masks or scans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from equiseg.data.card import PointCard, load_card
from equiseg.data.errors import DataError
from equiseg.data.synthetic.pictures.dataset import SceneConfig, SceneData
from equiseg.data.synthetic.scans.dataset import RoomConfig, RoomData

Track = Callable[[Iterable[Any], str], Iterable[Any]]


class Named(NamedTuple):
    """One split of labelled data.

    Attributes:
        data: ``SegmentationData`` or ``PointData``.
        title: What the data are called.
        split: Which split; empty where there is none.
        sample: What a batch is made of: "image", "scan" or "block".
        bare: Whether classes are the values of files: those that occur, named by their number.
    """

    data: Any
    title: str
    split: str
    sample: str
    bare: bool = False


def open_named(
    name: str,
    *,
    split: str | None = None,
    root: str | None = None,
    ignore_values: Sequence[int] | None = None,
    built_in: SceneConfig | RoomConfig | None = None,
    num_samples: int = 400,
    track: Track = lambda items, _: items,
) -> Named:
    """Open labelled data by the name a user gives; no image is read yet.

    Args:
        name: Name or path of a card, "scenes", "rooms", a folder of masks, a scan, or a folder of
            scans. A path that exists is taken for masks or scans, unless ``root`` says that a card
            is meant.
        split: Of a card or of built-in data; None takes train, or the card's first.
        root: Folder of the data of a card.
        ignore_values: Values that mean "not labelled", of data without a card; None is 255 alone.
        built_in: The dials of built-in data; None takes their defaults.
        num_samples: Length of built-in data.
        track: Wraps (scans, what is done), to show progress.

    Raises:
        DataError: If there are no such data, or they cannot be used.
        ValueError: If an option does not apply to these data.
    """
    path = Path(name)
    if name in ("scenes", "rooms"):
        _refuse(name, root=root, ignore_values=ignore_values)
        chosen = split or "train"
        if name == "scenes":
            scenes = built_in if isinstance(built_in, SceneConfig) else SceneConfig()
            return Named(SceneData(scenes, chosen, num_samples), name, chosen, "image")
        rooms = built_in if isinstance(built_in, RoomConfig) else RoomConfig()
        return Named(RoomData(rooms, chosen, num_samples), name, chosen, "scan")
    if path.suffix not in (".yaml", ".yml") and path.exists() and root is None:
        _refuse(name, split=split)
        return _bare(path, (255,) if ignore_values is None else ignore_values, track)
    _refuse(name, ignore_values=ignore_values)
    if len(path.parts) > 1 and not path.exists():
        raise DataError(f"{path}: no such file or folder")
    card = load_card(name, root)
    names = card.split_names()
    chosen = split or ("train" if "train" in names else names[0])
    if isinstance(card, PointCard):
        return _scans(card, chosen, track)
    from equiseg.data.images.folder import ImageFolder

    return Named(ImageFolder(card, chosen), card.name, chosen, "image")


def _bare(path: Path, ignore_values: Sequence[int], track: Track) -> Named:
    from equiseg.data.images.masks import MASK_SUFFIXES, MaskFolder

    if path.is_dir() and any(file.suffix.lower() in MASK_SUFFIXES for file in path.rglob("*")):
        title = path.resolve().name
        return Named(MaskFolder(path, ignore_values), title, "", "image", bare=True)
    from equiseg.data.statistics.unlabelled_scans import ALL, card_of_scans

    card = card_of_scans(path, ignore_values, lambda scans: track(scans, "codes"))
    return _scans(card, ALL, track)._replace(split="", bare=True)


def _scans(card: PointCard, split: str, track: Track) -> Named:
    from equiseg.data.points.folder import PointFolder

    # Points around a block are there for context only: not to be counted, so not to be read.
    card = replace(card, margin=0.0)
    data = PointFolder(card, split, track=lambda scans: track(scans, f"scans of {split}"))
    return Named(data, card.name, split, "scan" if card.block is None else "block")


def _refuse(name: str, **options: object) -> None:
    for option, given in options.items():
        if given is not None:
            raise ValueError(
                f"{option} has no meaning for {name}, got {given!r}; leave it out"
                + ("" if option != "ignore_values" else ", or write it into the card")
            )
