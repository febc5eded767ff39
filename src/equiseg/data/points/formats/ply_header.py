"""The header of a PLY file: byte order, elements and their properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from equiseg.data.errors import DataError
from equiseg.foreign_text import short

TYPE_NAMES = {
    "i1": ("char", "int8"),
    "u1": ("uchar", "uint8"),
    "i2": ("short", "int16"),
    "u2": ("ushort", "uint16"),
    "i4": ("int", "int32"),
    "u4": ("uint", "uint32"),
    "f4": ("float", "float32"),
    "f8": ("double", "float64"),
}
AXES = ("x", "y", "z")
CURE = "; export it again, or leave it out of the split"
_TYPES = {name: kind for kind, names in TYPE_NAMES.items() for name in names}
_COUNTS = {name: kind for name, kind in _TYPES.items() if not kind.startswith("f")}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # editors on Windows put it before a text
_MOST_BYTES = 1 << 20  # of a header: thousands of properties and comments


@dataclass
class Element:
    """One element of a file.

    Attributes:
        name: Its name, such as "vertex".
        count: Its number of rows.
        scalars: Name (in lower case, without CloudCompare's ``scalar_``) and type of each property
            with one value.
        layout: The types of all properties: (type), or (type of the count, type of the items).
    """

    name: str
    count: int
    scalars: list[tuple[str, str]] = field(default_factory=list)
    layout: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        """Whether a property has several values."""
        return len(self.scalars) < len(self.layout)


def plain(name: str) -> str:
    """The name of a property in lower case, without CloudCompare's ``scalar_``."""
    return name.lower().removeprefix("scalar_")


def read_header(stream: BinaryIO, file: Path) -> tuple[str, list[Element]]:
    """Read the byte order and the elements; the stream then is at the first byte of data.

    Raises:
        DataError: If the file is no PLY file, or a line cannot be parsed.
    """
    first = stream.readline(80).removeprefix(_BYTE_ORDER_MARK)
    if first.strip() != b"ply":
        raise DataError(f"{file}: is not a PLY file: it does not begin with the line 'ply'{CURE}")
    order, elements = None, []
    while stream.tell() < _MOST_BYTES and (line := stream.readline(_MOST_BYTES)):
        words = line.decode("latin-1").split()
        try:
            match words:
                case ["end_header"] if order is not None:
                    return order, elements
                case ["format", form, "1.0"]:
                    order = _BYTE_ORDERS[form]
                case ["element", name, count]:
                    elements.append(Element(name, _whole(count)))
                case ["property", "list", count, item, _]:
                    elements[-1].layout.append((_COUNTS[count], _TYPES[item]))
                case ["property", kind, name]:
                    elements[-1].layout.append((_TYPES[kind],))
                    elements[-1].scalars.append((plain(name), _TYPES[kind]))
                case [] | ["comment" | "obj_info", *_]:
                    continue
                case _:
                    raise ValueError
        except (KeyError, IndexError, ValueError) as error:
            text = short(" ".join(words))
            raise DataError(f"{file}: cannot parse header line {text!r}{CURE}") from error
    raise DataError(f"{file}: the header has no format or no end_header line{CURE}")


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)
