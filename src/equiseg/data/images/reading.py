"""Reading images and masks from files: refused by name, or read as they were meant."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from equiseg.data.card import MOST_VALUES
from equiseg.data.errors import DataError
from equiseg.foreign_files import FileError, check_file, check_memory, short

try:
    from PIL import Image, UnidentifiedImageError
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('image folders need Pillow: pip install "equiseg[data]"') from error

from equiseg.data.images import file_headers

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # orientations that exchange height and width
_CURE = "repair it or leave it out of the split"
_ROWS = 256  # copied at a time, so that a large image is not in memory three times
_DARK = 1 << 12  # 16-bit images below this were meant as 12-bit
# What Pillow raises for broken files; on bytes of any kind it is all of these.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
)


class ColourMaskError(DataError):
    """A mask has several channels, such as colours."""


class _Opened(NamedTuple):
    """A file whose header was read.

    Attributes:
        image: The image, not decoded yet.
        stream: The open file.
        orientation: How the camera was held (EXIF), 1 to 8; 1 is upright.
        turn: The orientation that is left to do after decoding: Pillow turns a TIFF itself.
    """

    image: Image.Image
    stream: IO[bytes]
    orientation: int
    turn: int


class Upright(NamedTuple):
    """The size of an image as viewers show it.

    Attributes:
        width: Pixels.
        height: Pixels.
        orientation: How EXIF data turn or mirror the pixels in the file, 1 to 8; 1 is not at all.
    """

    width: int
    height: int
    orientation: int

    @property
    def fits_both_ways(self) -> bool:
        """Whether the image has the same size turned and as it is in the file."""
        swapped = self.orientation in _SWAPPED
        return self.orientation != 1 and (not swapped or self.width == self.height)


def read_image(file: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read an image file as uint8 RGB (3, H, W), turned as its EXIF data say.

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
    with _opened(file) as opened:
        image = opened.image
        if problem := file_headers.bands_problem(image):
            raise DataError(
                f"{file}: has {problem}, an image has 1 (grey) or 3 (RGB) and may have "
                "transparency; save the bands that the network shall see as RGB"
            )
        if size is not None:
            image.draft("RGB", (size[1], size[0]))  # the JPEG decoder then skips unused detail
        check_pixels(file, image, 3)
        bits = file_headers.bits_per_value(image, opened.stream)
        inverted = file_headers.is_white_zero(image) and bits > 8  # Pillow inverts up to 8 bits
        decoded = _decoded(image, file)
        if decoded.mode.startswith(("I", "F")):
            decoded = _eight_bit(decoded, file, bits, inverted)
        rgb = _turned(decoded, opened.turn)
        if size is not None and rgb.size != (size[1], size[0]):
            rgb = rgb.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return _rgb_tensor(rgb)


def read_mask(file: Path) -> np.ndarray:
    """Read the values of a mask as they are in the file: (H, W) uint8 or uint16.

    Values of 1, 2 and 4 bits are 0 to 15. A TIFF in which white is 0 (MinIsWhite) is not inverted,
    except scans of 1 bit with fax compression, where white is 1 for all programs. A mask is turned
    as its own EXIF data say.

    Args:
        file: An image of one channel: up to 16 bit or with a palette, not compressed with loss.

    Raises:
        DataError: If the file cannot be read as such a mask, or is too large for
            :data:`equiseg.foreign_files.MOST_MEMORY`.
    """
    with _opened(file) as opened:
        image, stream = opened.image, opened.stream
        _check_mask(file, image, stream)
        check_pixels(file, image, 3)
        bits = file_headers.bits_per_value(image, stream)
        white_zero = file_headers.is_white_zero(image)
        signed = file_headers.is_signed_byte(image)
        values = np.asarray(_turned(_decoded(image, file), opened.turn))
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


def upright_size(file: Path) -> Upright:
    """The size of an image as viewers show it, without decoding it.

    Raises:
        DataError: If the file is no readable image.
    """
    with _opened(file, sums=False) as opened:
        image = opened.image
        if opened.orientation in _SWAPPED and image.format == "TIFF":
            check_pixels(file, image, 0)
            _decoded(image, file)  # Pillow turns it then
        width, height = image.size
        if opened.turn in _SWAPPED:
            width, height = height, width
        return Upright(width, height, opened.orientation)


def check_pixels(file: Path, image: Image.Image, more: int) -> None:
    """Limit the memory that decoding an image may take.

    Args:
        file: For messages.
        image: The image, not decoded yet.
        more: Bytes per pixel of what is made of it.

    Raises:
        DataError: If it needs more than one file may take.
    """
    own = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    pixels = image.width * image.height
    what = f"an image of {image.width}x{image.height} pixels"
    try:
        check_memory(file, what, pixels * (own + more))
    except FileError as error:
        raise DataError(str(error)) from None


@contextmanager
def _opened(file: Path, *, sums: bool = True) -> Iterator[_Opened]:
    """An image with its header read and, with ``sums``, its checksums compared."""
    try:
        check_file(file)
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except (FileError, OSError) as error:
        raise DataError(f"{file}: not a readable image ({_reason(error, file)}); {_CURE}") from None
    with stream:
        if sums:
            file_headers.check_png(file, stream)
        try:
            image = Image.open(stream, formats=_formats())
            problem = file_headers.pages_problem(image)
            orientation = _orientation(image, stream)
        except Image.DecompressionBombError as error:
            raise DataError(
                f"{file}: not a readable image ({_reason(error, file)}); cut it into tiles"
            ) from None
        except _BROKEN as error:
            if isinstance(error, UnidentifiedImageError) and (
                found := file_headers.tiff_problem(stream)
            ):
                raise DataError(
                    f"{file}: cannot be read as an image: {found}; save 1 (grey) or 3 (RGB) bands "
                    "of 8 or 16 bit"
                ) from None
            raise DataError(
                f"{file}: not a readable image ({_reason(error, file)}); {_CURE}"
            ) from error
        if problem:
            raise DataError(f"{file}: has {problem}, only one is expected; save each as a file")
        with image:
            yield _Opened(image, stream, orientation, 1 if image.format == "TIFF" else orientation)


def _check_mask(file: Path, image: Image.Image, stream: IO[bytes]) -> None:
    """Refuse what cannot hold class values."""
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


def _orientation(image: Image.Image, stream: IO[bytes]) -> int:
    """How the camera was held, 1 to 8."""
    # Asking a PNG for EXIF data would decode it whole.
    if image.format == "BMP" or (image.format == "PNG" and not file_headers.has_exif(stream)):
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:  # the picture can be fine despite damaged EXIF data
        return 1
    return found if found in range(1, 9) else 1


def _eight_bit(image: Image.Image, file: Path, bits: int, inverted: bool) -> Image.Image:
    """Grey values of 9 to 16 bits as 8 bits."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() >= 1 << 16:
        raise DataError(
            f"{file}: grey values must be whole numbers of at most 16 bit, got "
            f"{values.min()}..{values.max()} in mode {image.mode}; save it with 8 or 16 bit"
        )
    bits = bits if 8 < bits < 16 else 16
    if bits == 16 and 255 < values.max() < _DARK:
        _warn_once(
            f"{file.parent}: 16-bit grey images without a value above {_DARK - 1}, so at most 12 "
            "bits are used and they are nearly black; multiply their values by 16"
        )
    shown = (values >> (bits - 8)).astype(np.uint8)
    return Image.fromarray(255 - shown if inverted else shown)


def _rgb_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) uint8, converted some rows at a time."""
    pixels = np.empty((3, image.height, image.width), np.uint8)
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        rows = np.asarray(image.crop(box).convert("RGB"))
        pixels[:, box[1] : box[3]] = rows.transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def _decoded(image: Image.Image, file: Path) -> Image.Image:
    try:
        image.load()
    except _BROKEN as error:
        raise DataError(f"{file}: damaged image ({_reason(error, file)}); {_CURE}") from error
    return image


def _turned(decoded: Image.Image, orientation: int) -> Image.Image:
    return decoded if orientation == 1 else decoded.transpose(_TURNS[orientation])


def _reason(error: Exception, file: Path) -> str:
    """The first line of an error, without the name of the file, which the message has."""
    text = str(error).removeprefix(f"{file}: ").splitlines()
    return short(text[0]) if text else type(error).__name__


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow reads; some are built without WebP."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=2)
