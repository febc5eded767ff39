"""Data sources: the one table of what ``--data.card`` may name.

Each kind of data is a subclass of `Source`. Other modules ask the source about splits, classes,
sizes and the reading of scans, and never look at the name themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from equiseg.data.card_file import load_card
from equiseg.data.class_looks import ClassLooks
from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.image_card import ImageCard
from equiseg.data.point_card import PointCard
from equiseg.data.points.reading import ScanReading
from equiseg.data.split_lists import check_splits
from equiseg.data.synthetic.config import OLD_NAMES
from equiseg.dotted_names import find_object, is_dotted
from equiseg.progress import Track, untracked

if TYPE_CHECKING:
    from equiseg.data.images.folder import ImageFolder
    from equiseg.data.own_data import OwnData

SPLITS = ("train", "val", "test")


class Source:
    """The data behind a card's name; each kind of data is a subclass.

    Attributes:
        config: The options of the data.
        title: Name of the data in messages and tables.
        sample: Kind of sample: "image", "scan" or "block".
        takes_size: Whether ``data.size`` resizes the samples.
    """

    sample: str = "image"
    takes_size: bool = True

    def __init__(self, config: DataConfig, title: str) -> None:
        self.config = config
        self.title = title

    def all_splits(self) -> list[str]:
        """Names of all splits."""
        return list(SPLITS)

    def classes(self) -> tuple[str, ...]:
        """Names of the K classes, in the order of their ids."""
        raise NotImplementedError

    def open(self, split: str, track: Track = untracked) -> Any:
        """Open one split: ``SegmentationData`` or ``PointData``."""
        raise NotImplementedError

    def without_context(self) -> Source:
        """The same data without the context around blocks, for counting."""
        return self

    def of_split(self, split: str) -> Source:
        """The same data with one split only, so that splits are not compared."""
        return self

    def reading(self) -> ScanReading | None:
        """How scans are read; None for images."""
        return None

    def looks(self) -> ClassLooks:
        """How the classes are written into files and drawn."""
        return ClassLooks.plain(len(self.classes()))

    def check(self) -> None:
        """Refuse a description that gives classes no valid ids.

        Raises:
            DataError: If a field is wrong; the message names it.
        """


class _BuiltIn(Source):
    """Seeded pictures or scans of rooms."""

    takes_size = False
    name: ClassVar[str]

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config, config.card)
        if config.root is not None:
            raise DataError(
                f"root has no meaning for {self.title}, which are computed, got "
                f"{config.root!r:.80}; leave it out"
            )

    def _number(self, split: str) -> int:
        if split not in SPLITS:
            raise DataError(f"the built-in {self.name} have the splits {SPLITS}, got {split!r:.80}")
        return self.config.synthetic.num_samples[SPLITS.index(split)]


class _Pictures(_BuiltIn):
    """The built-in pictures of rooms."""

    name = "pictures"

    def classes(self) -> tuple[str, ...]:
        from equiseg.data.synthetic.pictures.layout import KINDS

        return tuple(kind.name for kind in KINDS[: self.config.synthetic.pictures.num_classes])

    def open(self, split: str, track: Track = untracked) -> Any:
        from equiseg.data.synthetic.pictures.dataset import RoomPictures

        return RoomPictures(self.config.synthetic.pictures, split, self._number(split))


class _Scans(_BuiltIn):
    """The built-in scans of rooms."""

    name = "scans"
    sample = "scan"

    def classes(self) -> tuple[str, ...]:
        from equiseg.data.synthetic.scans.variants import catalogue

        kinds = catalogue(self.config.synthetic.scans.num_classes).kinds
        return tuple(kind.name for kind in kinds)

    def open(self, split: str, track: Track = untracked) -> Any:
        from equiseg.data.synthetic.scans.dataset import RoomScans

        return RoomScans(self.config.synthetic.scans, split, self._number(split))

    def reading(self) -> ScanReading:
        from equiseg.data.synthetic.scans.dataset import RoomScans

        codes = tuple(range(self.config.synthetic.scans.num_classes))
        return ScanReading("ply", ("rgb",), RoomScans.voxel_size, None, 0.0, codes)


class _Card(Source):
    """A folder of images or scans that a card describes."""

    def __init__(self, config: DataConfig, card: ImageCard | PointCard) -> None:
        super().__init__(config, card.name)
        self.card = card

    def all_splits(self) -> list[str]:
        return self.card.split_names()

    def classes(self) -> tuple[str, ...]:
        return self.card.class_names()

    def looks(self) -> ClassLooks:
        return self.card.looks()

    def check(self) -> None:
        self.card.ids_by_value()
        self.card.background_id()

    def of_split(self, split: str) -> Source:
        if not isinstance(self.card.splits, Mapping):  # splits that share all scans, but no block
            return self
        card = replace(self.card, splits={split: self.card.splits[split]})
        return type(self)(self.config, card)


class ImageSource(_Card):
    """A folder of images and masks, as its card describes it."""

    card: ImageCard

    def open(self, split: str, track: Track = untracked) -> Any:
        """Open one split, an ``ImageFolder``."""
        return self.open_pairs(split, complete=True)

    def open_pairs(self, split: str, *, complete: bool) -> ImageFolder:
        """Open one split; without ``complete``, images without a mask are left out."""
        from equiseg.data.images.folder import ImageFolder

        return ImageFolder(self.card, split, self.config.size, complete=complete)


class PointSource(_Card):
    """A folder of scans, as its card describes it."""

    card: PointCard
    takes_size = False

    def __init__(self, config: DataConfig, card: PointCard) -> None:
        super().__init__(config, card)
        self.sample = "scan" if card.block is None else "block"

    def open(self, split: str, track: Track = untracked) -> Any:
        """Open one split, a ``PointFolder``."""
        from equiseg.data.points.folder import PointFolder

        if isinstance(self.card.splits, Mapping):
            check_splits(self.card.name, self.card.splits)
        return PointFolder(self.card, split, track=track, num_workers=self.config.num_workers)

    def without_context(self) -> Source:
        """The same blocks without a margin."""
        return PointSource(self.config, replace(self.card, margin=0.0))

    def reading(self) -> ScanReading:
        """How the card describes the scans."""
        return ScanReading.of(self.card)


class _Own(Source):
    """A class of a user's own, built as ``MyData(split, root=...)``."""

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config, config.card.replace(":", ".").rpartition(".")[2])
        self._build = find_object(config.card, "data.card")
        self._opened: dict[str, OwnData] = {}

    def all_splits(self) -> list[str]:
        return [split for split in SPLITS if split != "test" or self._has_test()]

    def classes(self) -> tuple[str, ...]:
        return self.open("train").classes

    def open(self, split: str, track: Track = untracked) -> OwnData:
        from equiseg.data.own_data import OwnData

        if split not in self._opened:
            config = self.config
            self._opened[split] = OwnData(self._build, self.title, split, config.root, config.size)
        return self._opened[split]

    def _has_test(self) -> bool:
        from equiseg.data.own_data import NoSplitError

        try:
            self.open("test")
        except NoSplitError as error:
            warnings.warn(f"no test split: {error}", stacklevel=2)
            return False
        return True


_BUILT_IN = {row.name: row for row in (_Pictures, _Scans)}


def find_source(config: DataConfig) -> Source:
    """The data source that a configuration names.

    Args:
        config: ``card`` is the name of built-in data, the name or path of a card, or a dotted
            name of a user's own class.

    Raises:
        DataError: If there is no such card, or ``data.size`` does not apply to the data.
        ValueError: If the user's class cannot be found.
    """
    if config.card in _BUILT_IN:
        source: Source = _BUILT_IN[config.card](config)
    elif is_own_name(config.card):
        source = _Own(config)
    else:
        card = load_card(config.card, config.root)
        if isinstance(card, PointCard):
            source = PointSource(config, card)
        else:
            source = ImageSource(config, card)
    if config.size is not None and not source.takes_size:
        raise DataError(
            f"data.size is for image folders, got {config.size} for {source.title}; leave it out"
        )
    return source


def is_built_in(card: str) -> bool:
    """Whether this is a name of built-in data."""
    return OLD_NAMES.get(card, card) in _BUILT_IN


def is_own_name(card: str) -> bool:
    """Whether this names a user's own class: "my_module.MyData", "file.py:MyData"."""
    return is_dotted(card) and (".py:" in card or not set("/\\") & set(card))


def open_split(config: DataConfig, split: str, track: Track = untracked) -> Any:
    """Open one split of the data: ``SegmentationData`` or ``PointData``.

    Images are read later, sample by sample; scans are read at once, the first time, to cut them
    into blocks.

    Args:
        config: The options of the data.
        split: Name of the split.
        track: Shows the progress over the scans.

    Raises:
        DataError: If the card, a folder, or the image or mask of a pair is missing.
    """
    return find_source(config).open(split, track)


def count_classes(config: DataConfig) -> int:
    """Number of classes of the data, before any sample is read.

    Raises:
        DataError: If the card or its classes cannot be read.
    """
    return len(find_source(config).classes())


def split_names(config: DataConfig) -> list[str]:
    """Names of the splits of the data, in the order train, val, test.

    Raises:
        DataError: If train or val is missing.
    """
    return training_splits(find_source(config))


def training_splits(source: Source) -> list[str]:
    """Names of the splits of a data source, in the order train, val, test.

    Raises:
        DataError: If train or val is missing.
    """
    known = source.all_splits()
    if missing := [name for name in ("train", "val") if name not in known]:
        raise DataError(
            f"card {source.title} has no split {' or '.join(missing)}, only {list(known)}; "
            "training needs both: it chooses the weights by val"
        )
    return [name for name in SPLITS if name in known]
