"""DecodedImage: an image that stays in its own form, and is RGB only part by part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equiseg.data.images.folder import _decoded, _eight_bit, _opened, _upright
from equiseg.foreign_files import check_file

_TURNED = (5, 6, 7, 8)  # orientations of EXIF that swap height and width
_ORIENTATION = 0x0112


def image_size(file: Path) -> tuple[int, int]:
    """(H, W) of an image as viewers show it, from its header.

    Raises:
        DataError: If it is no image.
    """
    check_file(file)
    with _opened(file) as image:
        width, height = image.size
        # Asking a PNG for EXIF data would decode it whole.
        exif = {} if image.format == "PNG" else image.getexif()
        return (width, height) if exif.get(_ORIENTATION) in _TURNED else (height, width)


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
        check_file(file)
        self._file = file
        self._image = _upright(_decoded(_opened(file), file))
        self.size = (self._image.height, self._image.width)

    def part(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """uint8 RGB (3, height, width) of a rectangle; 16-bit grey is scaled down to 8 bit."""
        part = self._image.crop((left, top, left + width, top + height))
        if part.mode.startswith(("I", "F")):
            part = _eight_bit(part, self._file)
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
