"""Reading images and masks from files: right values, or an error that names the file."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from equiseg.data.card import MOST_VALUES
from equiseg.data.errors import DataError
from equiseg.data.images import file_headers
from equiseg.data.images.opened import Image, Upright, decoded, open_image, turned_size

_ROWS = 256  # converted at a time, so that a large image is not in memory three times
_DARK = 1 << 12  # 16-bit images below this have 12-bit values


class ColourMaskError(DataError):
    """A mask has several channels, such as colours."""


class Picture(NamedTuple):
    """A decoded image, in its own form.

    Attributes:
        image: The pixels, turned as viewers show them.
        bits: Bits of a grey value.
        inverted: Whether white is 0.
        file: Where it was read, for messages.
        shown: The size of the whole image in the file, as viewers show it.
    """

    image: Image.Image
    bits: int
    inverted: bool
    file: Path
    shown: Upright

    def part(self, box: tuple[int, int, int, int]) -> Picture:
        """The pixels in a box (left, top, right, bottom)."""
        return self._replace(image=self.image.crop(box))

    def eight_bit(self) -> Image.Image:
        """The image with 8 bits a value; 16-bit values are divided by 256, 12-bit values by 16.

        Raises:
            DataError: If grey values are not whole numbers of at most 16 bits.
        """
        if not self.image.mode.startswith(("I", "F")):
            return self.image
        values = np.asarray(self.image)
        if self.image.mode == "F" or values.min() < 0 or values.max() >= 1 << 16:
            raise DataError(
                f"{self.file}: grey values must be whole numbers of at most 16 bit, got "
                f"{values.min()}..{values.max()} in mode {self.image.mode}; save it with 8 or 16 "
                "bit"
            )
        bits = self.bits if 8 < self.bits < 16 else 16
        shown = (values >> (bits - 8)).astype(np.uint8)
        return Image.fromarray(255 - shown if self.inverted else shown)


def read_picture(file: Path, size: tuple[int, int] | None = None, *, more: int = 3) -> Picture:
    """Decode an image and keep it in its own form: a scan of one bit takes 1 byte a pixel, not 3.

    Args:
        file: The image.
        size: (H, W) that it will be resized to; of a JPEG, unused detail is then left out.
        more: Bytes per pixel of copies that are made of all of it.

    Raises:
        DataError: If the file cannot be read as one image, or is too large.
    """
    with open_image(file) as opened:
        image = opened.image
        if problem := file_headers.bands_problem(image):
            raise DataError(
                f"{file}: has {problem}, an image has 1 (grey) or 3 (RGB) and may have "
                "transparency; save the bands that the network needs as RGB"
            )
        whole = image.size
        if size is not None:
            image.draft("RGB", (size[1], size[0]))
        bits = file_headers.bits_per_value(image, opened.stream)
        inverted = file_headers.is_white_zero(image) and bits > 8  # Pillow inverts up to 8 bits
        pixels = decoded(file, opened, more)
        shown = turned_size(opened, pixels.size if image.format == "TIFF" else whole)
        return Picture(pixels, bits, inverted, file, shown)


def read_image(file: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read an image file as uint8 RGB (3, H, W), turned by its EXIF orientation.

    Grey values of more than 8 bits are divided: 16-bit values by 256, those of a 12-bit TIFF by 16.
    A PNG has no 12 bits; for 12-bit values in a 16-bit file there is a warning, as they are nearly
    black.

    Args:
        file: The image.
        size: (H, W) to resize to, antialiased. None keeps the size on disk.

    Raises:
        DataError: If the file cannot be read as one image of at most 16 bit, or is too large for
            :data:`equiseg.foreign_files.MOST_MEMORY`.
    """
    return read_image_and_size(file, size)[0]


def read_image_and_size(file: Path, size: tuple[int, int] | None = None) -> tuple[Tensor, Upright]:
    """:func:`read_image`, and the size of the image in the file, as viewers show it."""
    picture = read_picture(file, size)
    _warn_of_dark(picture)
    rgb = picture.eight_bit()
    if size is not None and rgb.size != (size[1], size[0]):
        rgb = rgb.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return _rgb_tensor(rgb), picture.shown


def read_mask(file: Path) -> np.ndarray:
    """Read the values of a mask as they are in the file: (H, W) uint8 or uint16.

    Values of 1, 2 and 4 bits are 0 to 15. A TIFF in which white is 0 (MinIsWhite) is not inverted,
    except scans of 1 bit with fax compression, where white is 1 for all programs. A mask is turned
    by its own EXIF orientation.

    Args:
        file: An image of one channel: up to 16 bit or with a palette, not compressed with loss.

    Raises:
        DataError: If the file cannot be read as such a mask, or is too large for
            :data:`equiseg.foreign_files.MOST_MEMORY`.
    """
    with open_image(file) as opened:
        image, stream = opened.image, opened.stream
        _check_mask(file, image, stream)
        bits = file_headers.bits_per_value(image, stream)
        white_zero = file_headers.is_white_zero(image)
        signed = file_headers.is_signed_byte(image)
        values = np.asarray(decoded(file, opened, 3))
        if image.mode == "L":
            if white_zero:
                values = 255 - values
            if bits < 8:
                values = values // (255 // ((1 << bits) - 1))
            if signed:
                values = values.view(np.int8)
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() >= MOST_VALUES):
        raise DataError(
            f"{file}: mask values must be 0..{MOST_VALUES - 1}, got {values.min()}.."
            f"{values.max()}; renumber them"
        )
    kept = np.uint8 if values.dtype in (np.uint8, np.int8) else np.uint16
    return values.astype(kept, copy=False)


def _check_mask(file: Path, image: Image.Image, stream: IO[bytes]) -> None:
    """Refuse images that cannot hold class values."""
    if lossy := file_headers.lossy_compression(image, stream):
        raise DataError(
            f"{file}: mask is compressed with loss ({lossy}), which changes its values; make it "
            "anew as PNG from the source of the labels"
        )
    if image.mode == "F":
        raise DataError(
            f"{file}: mask has floating-point values (mode F); save whole numbers of 8 or 16 bit"
        )
    if image.mode not in ("P", "L", "I", "I;16", "I;16B", "1"):
        raise ColourMaskError(
            f"{file}: mask must have one channel of class values (8-bit, 16-bit or palette), "
            f"got mode {image.mode}; colour-coded masks must be converted first"
        )
    if problem := file_headers.bands_problem(image):
        raise ColourMaskError(f"{file}: mask must have one channel, got {problem}; save one")
    if image.mode == "1" and file_headers.is_white_zero(image) and not file_headers.is_fax(image):
        raise DataError(
            f"{file}: a mask of 1 bit in which white is 0 (MinIsWhite): programs disagree which "
            "of its values is 1; save it as PNG or with 8 bit"
        )


def _rgb_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) uint8, converted some rows at a time."""
    pixels = np.empty((3, image.height, image.width), np.uint8)
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        rows = image.crop(box)
        rows = rows if rows.mode == "RGB" else rows.convert("RGB")
        pixels[:, box[1] : box[3]] = np.asarray(rows).transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def _warn_of_dark(picture: Picture) -> None:
    """Warn once for a folder whose images have 12-bit values."""
    if picture.bits == 16 and picture.image.mode.startswith("I"):
        _, most = picture.image.getextrema()
        if isinstance(most, (int, float)) and 255 < most < _DARK:
            _warn_once(
                f"{picture.file.parent}: 16-bit grey images without a value above {_DARK - 1}, so "
                "at most 12 bits are used and they are nearly black; multiply their values by 16"
            )


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=2)
