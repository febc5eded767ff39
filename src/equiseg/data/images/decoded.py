"""DecodedImage: an image in the form of its file, converted to RGB part by part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equiseg.data.images.opened import upright_size
from equiseg.data.images.reading import read_picture


def image_size(file: Path) -> tuple[int, int]:
    """(H, W) of an image as viewers show it, from its header.

    Raises:
        DataError: If it is not an image.
    """
    size = upright_size(file)
    return size.height, size.width


class DecodedImage:
    """An image that is decoded once, in its own form: a one-bit scan takes 1 byte a pixel, not 3.

    Args:
        file: The image.

    Attributes:
        size: (H, W).

    Raises:
        DataError: If it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._picture = read_picture(file, more=0)
        self.size = (self._picture.image.height, self._picture.image.width)

    def part(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """uint8 RGB (3, height, width) of a rectangle; 16-bit grey is scaled down to 8 bit."""
        part = self._picture.part((left, top, left + width, top + height)).eight_bit()
        return np.ascontiguousarray(np.asarray(part.convert("RGB")).transpose(2, 0, 1))

    def reduced(self, factor: int) -> np.ndarray:
        """uint8 RGB (3, ceil(H / factor), ceil(W / factor)): the mean of each square of pixels."""
        height, width = self.size
        bands = []
        for top in range(0, height, factor):
            band = self.part(top, 0, min(factor, height - top), width).astype(np.float32).mean(1)
            sums = np.add.reduceat(band, np.arange(0, width, factor), axis=1)
            counts = np.minimum(factor, width - np.arange(0, width, factor))
            bands.append((sums / counts).round().astype(np.uint8))
        return np.stack(bands, axis=1)
