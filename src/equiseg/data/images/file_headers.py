"""Properties of image files that Pillow does not check or report.

Pillow skips the checksums of a PNG's pixels, and does not say whether a WebP or TIFF was compressed
with loss.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from equiseg.data.errors import DataError
from equiseg.foreign_text import short

if TYPE_CHECKING:
    from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_AT_ONCE = 1 << 20  # bytes
_DAMAGED = "the file is damaged or cut; repair it or leave it out of the split"
# TIFF tags
_BITS, _COMPRESSION, _PHOTOMETRIC, _KIND = 258, 259, 262, 254
_BANDS, _EXTRA_BANDS, _NUMBERS = 277, 338, 339
_LOSSY_TIFF = {6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 34892: "JPEG", 50001: "WebP"}
_FAX = (2, 3, 4, 32771)  # compressions of scanned text, in which white is stored as 0
_USUAL_BITS = (1, 2, 4, 8, 16)
_ALPHA = (1, 2)  # kinds of extra bands that are transparency
_COLOURS = {5: 4}  # bands without transparency: CMYK has 4, others 1 or 3


def check_png(file: Path, opened: IO[bytes]) -> None:
    """Compare the checksum of each part of a PNG with its bytes; other formats are not read.

    This takes a tenth of the time of decoding.

    Args:
        file: For messages.
        opened: The open file; it is left at its start.

    Raises:
        DataError: If a checksum is wrong, or the file ends early.
    """
    opened.seek(0)
    if opened.read(len(_PNG)) == _PNG:
        while _checked_part(file, opened) != b"IEND":
            pass
    opened.seek(0)


def has_exif(opened: IO[bytes]) -> bool:
    """Whether a PNG has EXIF data; only the heads of its parts are read.

    Args:
        opened: The open file; its position stays.
    """
    place = opened.tell()
    opened.seek(len(_PNG))
    found = False
    while not found and len(head := opened.read(8)) == 8:
        found = head[4:] == b"eXIf"
        opened.seek(int.from_bytes(head[:4], "big") + 4, 1)
    opened.seek(place)
    return found


def lossy_compression(image: Image.Image, opened: IO[bytes]) -> str | None:
    """The name of the compression, if it changes values; None if it keeps them.

    Args:
        image: The image, not decoded yet.
        opened: The file of the image; its position stays.
    """
    if image.format in ("JPEG", "MPO"):
        return "JPEG"
    if image.format == "WEBP":
        return None if _is_lossless_webp(opened) else "lossy WebP"
    return _LOSSY_TIFF.get(_tag(image, _COMPRESSION, 1))


def bits_per_value(image: Image.Image, opened: IO[bytes]) -> int:
    """Bits of a grey value in the file: Pillow stretches 2 and 4 bits to 8, as 0, 85, 170, 255."""
    if image.format == "PNG":
        place = opened.tell()
        opened.seek(24)  # of the header, which is always first
        bits = opened.read(1)[0]
        opened.seek(place)
        return bits
    return _tag(image, _BITS, 8)


def is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF stores white as 0 (MinIsWhite)."""
    return image.format == "TIFF" and _tag(image, _PHOTOMETRIC, 1) == 0


def is_fax(image: Image.Image) -> bool:
    """Whether a TIFF has a compression of fax machines, which always stores white as 0."""
    return _tag(image, _COMPRESSION, 1) in _FAX


def is_signed_byte(image: Image.Image) -> bool:
    """Whether 8-bit values of a TIFF go from -128 to 127; Pillow reads them as 0 to 255."""
    return _tag(image, _NUMBERS, 1) == 2 and _tag(image, _BITS, 8) == 8


def pages_problem(image: Image.Image) -> str | None:
    """The content of a file with more than one picture, such as "several pages"; else None.

    Smaller copies of the first page (overviews) and its mask of validity do not count. Neither do
    the further pictures of an MPO, which phones write: the first is the photograph.
    """
    if image.format == "MPO" or not hasattr(image, "n_frames"):
        return None
    if image.format != "TIFF":
        number = int(image.n_frames)
        return f"{number} frames (an animation)" if number > 1 else None
    pages, index = 1, 0
    while pages == 1:
        index += 1
        try:
            image.seek(index)
        except EOFError:
            break
        pages += _tag(image, _KIND, 0) & 0b101 == 0  # 1: a smaller copy, 4: a mask of validity
    image.seek(0)
    return "several pages" if pages > 1 else None


def bands_problem(image: Image.Image) -> str | None:
    """The number of bands of a TIFF if Pillow would leave some out, as they are not colours."""
    if image.format != "TIFF":
        return None
    bands, extra = _tag(image, _BANDS, 1), image.tag_v2.get(_EXTRA_BANDS, ())  # type: ignore[attr-defined]
    extra = extra if isinstance(extra, tuple) else (extra,)
    colours = bands - sum(kind in _ALPHA for kind in extra)
    if colours in (1, 3) or colours == _COLOURS.get(_tag(image, _PHOTOMETRIC, 1)):
        return None
    if not extra and bands == 4:  # Pillow takes the fourth of four for transparency
        return None
    return f"{bands} bands"


def tiff_problem(opened: IO[bytes]) -> str | None:
    """Description of a TIFF that Pillow cannot open; None for other formats."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    opened.seek(0)
    head = opened.read(8)
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return None
    try:
        tags = ImageFileDirectory_v2(head)
        opened.seek(tags.next)
        tags.load(opened)
        bits, bands = tags.get(_BITS, (1,)), tags.get(_BANDS, 1)
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error):
        return None
    widths = sorted(set(bits if isinstance(bits, tuple) else (bits,)))
    if bands in (1, 3, 4) and len(widths) == 1 and widths[0] in _USUAL_BITS:
        return None  # damaged
    return f"a TIFF of {bands} band(s) of {short(' and '.join(map(str, widths)))} bit"


def _checked_part(file: Path, opened: IO[bytes]) -> bytes:
    """Check the next part of a PNG; returns its name."""
    head = opened.read(8)
    left, name = int.from_bytes(head[:4], "big"), head[4:]
    found = zlib.crc32(name)
    while left:
        part = opened.read(min(left, _AT_ONCE))
        if not part:
            break
        found = zlib.crc32(part, found)
        left -= len(part)
    expected = opened.read(4)
    if len(expected) < 4:
        raise DataError(f"{file}: the PNG ends early; {_DAMAGED}")
    if expected != found.to_bytes(4, "big"):
        raise DataError(f"{file}: a checksum of the PNG is wrong (part {name!r}); {_DAMAGED}")
    return name


def _is_lossless_webp(opened: IO[bytes]) -> bool:
    """Whether the pixels of a WebP are in a VP8L part; an animation may mix both kinds."""
    place = opened.tell()
    opened.seek(12)
    kinds: set[bytes] = set()
    while len(head := opened.read(8)) == 8:
        kinds.add(head[:4])
        size = int.from_bytes(head[4:], "little")
        opened.seek(size + size % 2, 1)
    opened.seek(place)
    return b"VP8L" in kinds and b"VP8 " not in kinds


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """A number of a TIFF's header; the default for other formats."""
    found = getattr(image, "tag_v2", {}).get(tag, default)
    found = found[0] if isinstance(found, tuple) else found
    return found if isinstance(found, int) else default
