"""MaskFolder: masks without images and without a card; every value is a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.images.reading import read_mask
from equiseg.data.sample import Sample
from equiseg.data.survey.origins import Origin, digest_of
from equiseg.foreign_files import list_files

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")  # no JPEG: it would change values
_VALUES = 256


class MaskFolder:
    """The masks in a folder and its subfolders, without hidden files, for counting.

    Values are class ids; only after reading all masks is it known which of the 256 occur. Samples
    have black images.

    Args:
        folder: Folder of the masks.
        ignore_values: Values that mean "not labelled".

    Attributes:
        classes: The names "0" to "255".
        ignore_index: 256, which is no value of an 8-bit mask.
        files: The masks, in the order of their names.
        reading: Identifies the folder, and how masks become labels.

    Raises:
        DataError: If the folder contains no mask.
    """

    classes = tuple(str(value) for value in range(_VALUES))
    ignore_index = _VALUES
    background: int | None = None

    def __init__(self, folder: Path, ignore_values: Sequence[int] = (255,)) -> None:
        self.folder = folder
        # Names, not paths: a hundred thousand of them must fit in memory.
        self.files = sorted(
            str(file.relative_to(folder)) for file in list_files(folder, MASK_SUFFIXES, nested=True)
        )
        if not self.files:
            raise DataError(
                f"{folder}: holds no masks ({', '.join(MASK_SUFFIXES)}; JPEG changes values); name "
                "the folder of the masks, or the card of the data set with --root"
            )
        self._lookup = np.arange(_VALUES, dtype=np.int16)
        self._lookup[[value for value in ignore_values if 0 <= value < _VALUES]] = self.ignore_index
        self.reading = digest_of(str(folder), folder.absolute(), self._lookup.tolist())

    def __len__(self) -> int:
        """Number of masks."""
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """One mask, under a black image."""
        labels_HW = self.labels(index)
        image = torch.zeros(3, *labels_HW.shape, dtype=torch.uint8)
        return Sample(image, labels_HW, str(Path(self.files[index]).with_suffix("")))

    def origin(self, index: int) -> Origin:
        """The file of one mask."""
        return Origin("", (f"{self.folder}{os.sep}{self.files[index]}",))

    def labels(self, index: int) -> Tensor:
        """(H, W) int16 values of one mask.

        Raises:
            DataError: If the file cannot be read, has several channels, or values above 255.
        """
        file = self.folder / self.files[index]
        values = read_mask(file)
        if values.max() >= _VALUES:
            raise DataError(
                f"{file}: values must be 0..{_VALUES - 1} where no card names the classes, got "
                f"{values.max()}; write a card (docs/how-to/data_card.md), which takes values "
                "up to 65535"
            )
        return torch.from_numpy(self._lookup[values])
