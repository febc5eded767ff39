"""Opening image files of any origin, after checks of kind, checksums, pages, size and EXIF turn."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from equiseg.data.errors import DataError, as_data_errors
from equiseg.foreign_files import FileError, check_file, check_memory
from equiseg.foreign_text import short

try:
    from PIL import Image as Image
    from PIL import UnidentifiedImageError
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
# Pillow raises any of these for damaged files.
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


class Opened(NamedTuple):
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


@contextmanager
def open_image(file: Path, *, sums: bool = True) -> Iterator[Opened]:
    """An image with its header read; it is not decoded yet.

    Args:
        file: The image.
        sums: Whether to compare the checksums of a PNG, for which all of it is read.

    Raises:
        DataError: If it is not a regular file, not an image, damaged, or has several pages.
    """
    try:
        check_file(file)
        stream = open(file, "rb")  # noqa: SIM115, PTH123 - closed below; a Path takes as long again
    except (FileError, OSError) as error:
        raise DataError(f"{file}: not a readable image ({_reason(error, file)}); {_CURE}") from None
    with stream:
        if sums:
            file_headers.check_png(file, stream)
        try:
            with warnings.catch_warnings():  # about large images; check_memory limits them
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(stream, formats=_formats())
            problem = file_headers.pages_problem(image)
            orientation = _orientation(image, stream)
        except _BROKEN as error:
            raise _unreadable(file, stream, error) from error
        if problem:
            raise DataError(f"{file}: has {problem}, only one is expected; save each as a file")
        with image:
            yield Opened(image, stream, orientation, 1 if image.format == "TIFF" else orientation)


def decoded(file: Path, opened: Opened, more: int) -> Image.Image:
    """The pixels of an image, turned as viewers show them.

    Args:
        file: For messages.
        opened: The opened file.
        more: Bytes per pixel of copies that are made of it.

    Raises:
        DataError: If it is damaged, or needs more memory than one file may take.
    """
    check_pixels(file, opened.image, more)
    try:
        opened.image.load()
        turn = opened.turn
        return opened.image if turn == 1 else opened.image.transpose(_TURNS[turn])
    except _BROKEN as error:
        raise DataError(f"{file}: damaged image ({_reason(error, file)}); {_CURE}") from error


def upright_size(file: Path) -> Upright:
    """The size of an image as viewers show it, without decoding it.

    Raises:
        DataError: If the file is not a readable image.
    """
    with open_image(file, sums=False) as opened:
        image = opened.image
        if opened.orientation in _SWAPPED and image.format == "TIFF":
            decoded(file, opened, 0)  # Pillow turns it then
        return turned_size(opened, image.size)


def turned_size(opened: Opened, size: tuple[int, int]) -> Upright:
    """The size of an image as viewers show it.

    Args:
        opened: The opened file.
        size: (width, height) of its pixels; of a TIFF once it is decoded, as Pillow turns it then.
    """
    width, height = size
    if opened.turn in _SWAPPED:
        width, height = height, width
    return Upright(width, height, opened.orientation)


def check_pixels(file: Path, image: Image.Image, more: int) -> None:
    """Limit the memory that decoding an image may take.

    Args:
        file: For messages.
        image: The image, not decoded yet.
        more: Bytes per pixel of copies that are made of it.

    Raises:
        DataError: If it needs more memory than one file may take.
    """
    own = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    pixels = image.width * image.height
    what = f"an image of {image.width}x{image.height} pixels"
    with as_data_errors():
        check_memory(file, what, pixels * (own + more))


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow reads; some are built without WebP."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _orientation(image: Image.Image, stream: IO[bytes]) -> int:
    """The EXIF orientation, 1 to 8."""
    # Asking a PNG for EXIF data would decode it whole.
    if image.format == "BMP" or (image.format == "PNG" and not file_headers.has_exif(stream)):
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:  # the picture can be fine despite damaged EXIF data
        return 1
    return found if found in range(1, 9) else 1


def _unreadable(file: Path, stream: IO[bytes], error: BaseException) -> DataError:
    """The error for a file that Pillow does not open."""
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            f"{file}: not a readable image ({_reason(error, file)}); cut it into tiles"
        )
    known = isinstance(error, UnidentifiedImageError)
    if known and (found := file_headers.tiff_problem(stream)):
        return DataError(
            f"{file}: cannot be read as an image: {found}; save 1 (grey) or 3 (RGB) bands of 8 or "
            "16 bit"
        )
    if known:
        return DataError(
            f"{file}: not a readable image (none of {', '.join(_formats())}, or damaged); {_CURE}"
        )
    return DataError(f"{file}: not a readable image ({_reason(error, file)}); {_CURE}")


def _reason(error: BaseException, file: Path) -> str:
    """The first line of an error, without the name of the file, which the message has."""
    text = str(error).removeprefix(f"{file}: ").splitlines()
    return short(text[0], 160) if text else type(error).__name__
