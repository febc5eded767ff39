"""ImageFolder: images and masks in two folders, as a data card describes them."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equiseg.data.card import MOST_VALUES
from equiseg.data.errors import DataError
from equiseg.data.image_card import ImageCard
from equiseg.data.images.opened import Upright, upright_size
from equiseg.data.images.pairs import Pair, complete_pairs, find_pairs
from equiseg.data.images.reading import read_image_and_size, read_mask
from equiseg.data.sample import Sample
from equiseg.data.split_lists import check_splits
from equiseg.data.survey.origins import Origin, digest_of


class ImageFolder:
    """One split of a data set of images and masks.

    Masks are 8-bit, 16-bit or palette images; the card maps their pixel values to classes. All
    missing images and masks are reported when the folder is opened. Problems inside a file are
    reported when the file is read (:func:`equiseg.data.survey_samples` reads all files before
    training).

    Args:
        card: The description of the data set.
        split: Name of a split of the card.
        size: (H, W) to resize to when reading, images antialiased and labels to the nearest
            pixel. None keeps the size on disk.
        complete: Whether to refuse a split in which images or masks are missing; False leaves out
            their partners.

    Attributes:
        pairs: Paths of the image and the mask of each sample.
        names: Name of each sample.

    Raises:
        DataError: If the split or a folder does not exist or is empty, images or masks are missing,
            or the splits of the card share images.
    """

    def __init__(
        self,
        card: ImageCard,
        split: str,
        size: tuple[int, int] | None = None,
        *,
        complete: bool = True,
    ) -> None:
        if split not in card.splits:
            raise DataError(f"card {card.name} has no split {split!r}, only {list(card.splits)}")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise DataError(f"size must be a positive (H, W) or None, got {size}")
        if complete:
            check_splits(card.name, card.splits)
        self.card = card
        self.size = size
        self._told = False
        self.classes = card.class_names()
        self.ignore_index = card.ignore_index
        self.background = card.background_id()
        self._label_of, self._is_known = _tables(card)
        pairs = complete_pairs(card, split) if complete else find_pairs(card, split)[0]
        self.pairs: list[Pair] = list(pairs.values())
        self.names: list[str] = list(pairs)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its labels.

        Raises:
            DataError: If a file cannot be read, sizes differ, or the mask contains an unknown
                value.
        """
        image_file, mask_file = map(Path, self.pairs[index])
        image, shown = read_image_and_size(image_file, self.size)
        labels = self._read_labels(mask_file, image_file, shown)
        return Sample(image, labels, self.names[index])

    @cached_property
    def reading(self) -> str:
        """Identifies the folder, and how its files become images and labels."""
        root = str(self.card.path), self.card.path.absolute()
        tables = self._label_of.tobytes(), self._is_known.tobytes()
        return digest_of(*root, *tables, len(self.classes), self.ignore_index, self.size)

    def origin(self, index: int) -> Origin:
        """The image and the mask of a sample."""
        return Origin(self.names[index], self.pairs[index])

    def labels(self, index: int) -> Tensor:
        """The labels of one image, without decoding the image.

        Raises:
            DataError: As for reading a sample, except for damage to the image.
        """
        image_file, mask_file = map(Path, self.pairs[index])
        return self._read_labels(mask_file, image_file)

    def fits_both_ways(self, index: int) -> bool:
        """Whether EXIF data turn a photograph, and its mask would also fit without the turn.

        Raises:
            DataError: If the file is not a readable image.
        """
        return upright_size(Path(self.pairs[index].image)).fits_both_ways

    def _read_labels(
        self, mask_file: Path, image_file: Path, shown: Upright | None = None
    ) -> Tensor:
        """The labels in a mask; ``shown`` is the size of its image, if that was read already."""
        values = read_mask(mask_file)
        self._check_size(values, mask_file, image_file, shown or upright_size(image_file))
        known = self._is_known.take(values)  # in half the time of an index
        if not known.all():
            unknown = np.unique(values[~known]).tolist()
            raise DataError(
                f"{mask_file}: values {unknown[:8]} are neither classes nor ignored in card "
                f"{self.card.name}; add them to classes or to ignore_values"
            )
        labels = self._label_of.take(values)
        if self.size is not None and labels.shape != tuple(self.size):
            rows, columns = (_nearest(n, m) for n, m in zip(labels.shape, self.size, strict=True))
            labels = labels[rows[:, None], columns]
        return torch.from_numpy(labels)

    def _check_size(
        self, values: np.ndarray, mask_file: Path, image_file: Path, shown: Upright
    ) -> None:
        """Refuse a mask of another size than its image as viewers show it."""
        height, width = values.shape
        if (shown.width, shown.height) != (width, height):
            turned = (
                "; EXIF data turn the image, and viewers show it so: draw the mask on the turned "
                "image, or save the image without EXIF data, as it was when the mask was drawn"
            )
            raise DataError(
                f"{mask_file}: mask is {width}x{height} (width x height), its image "
                f"{image_file.name} {shown.width}x{shown.height}; they must be of one size"
                + turned
                * (shown.orientation != 1 and (shown.height, shown.width) == (width, height))
            )
        if shown.fits_both_ways and not self._told:
            self._told = True
            warnings.warn(
                f"{image_file}: EXIF data turn this image without changing its size; its mask is "
                "taken to be drawn on the turned image, as viewers show it. Check it, and others "
                "of this folder (equiseg doctor lists them)",
                stacklevel=2,
            )


def _tables(card: ImageCard) -> tuple[np.ndarray, np.ndarray]:
    """The label of every possible mask value, and whether the value is in the card."""
    small = len(card.class_names()) <= 255 and card.ignore_index <= 255
    label_of = np.zeros(MOST_VALUES, np.uint8 if small else np.int64)
    is_known = np.zeros(MOST_VALUES, bool)
    for value, label in card.ids_by_value().items():
        if value < MOST_VALUES:  # only ignore_index may be larger; it is then not a mask value
            label_of[value], is_known[value] = label, True
    return label_of, is_known


def _nearest(source: int, target: int) -> np.ndarray:
    """Source index under the center of every target pixel."""
    return ((np.arange(target) + 0.5) * source / target).astype(np.int64)
