"""The vertices of a PLY file after its header, as columns."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.formats.cloud_parts import PART
from equiseg.data.points.formats.ply_header import AXES, CURE, Element
from equiseg.foreign_files import check_count, check_memory
from equiseg.foreign_text import short

_LONGEST_LINE = 1 << 16  # characters


def read_vertices(
    stream: BinaryIO, order: str, elements: list[Element], file: Path
) -> Mapping[str, np.ndarray]:
    """The scalars of the vertices by name, in the types of the file (ascii floats: float64).

    Args:
        stream: The file, at its first byte after the header.
        order: Byte order for struct and numpy; "=" for ascii.
        elements: The elements of the header.
        file: The file; the columns of a binary file are mapped from it.

    Raises:
        FileError: If the header states more or fewer vertices than there are, or they have no
            coordinates.
    """
    names = [element.name for element in elements]
    if names.count("vertex") != 1:
        raise DataError(
            f"{file}: has no vertices, or two elements of them, among {short(names)}{CURE}"
        )
    place = names.index("vertex")
    before, vertex, last = elements[:place], elements[place], place == len(names) - 1
    properties = [name for name, _ in vertex.scalars]
    if vertex.has_lists:
        raise DataError(f"{file}: vertices hold lists, which are not supported{CURE}")
    if len(set(properties)) < len(properties):
        raise DataError(
            f"{file}: two vertex properties share a name among {short(properties)}{CURE}"
        )
    if absent := set(AXES) - set(properties):
        raise DataError(
            f"{file}: vertices have no {sorted(absent)}, only {short(properties)}{CURE}"
        )
    if order == "=":
        skipped = sum(element.count for element in before)
        check_count(file, "lines before the vertices", skipped, 1, file.stat().st_size)
        return _ascii_columns(stream, skipped, vertex, last, file)
    start, size = stream.tell(), file.stat().st_size
    for element in before:
        start = _end(stream, start, size, order, element, file)
    dtype = np.dtype([(name, order + kind) for name, kind in vertex.scalars])
    check_count(file, "vertices", vertex.count, dtype.itemsize, size - start)
    if last and size - start >= (vertex.count + 1) * dtype.itemsize:
        raise _longer(vertex, file)
    if not vertex.count:
        return {name: np.empty(0, kind) for name, kind in vertex.scalars}
    rows = np.memmap(file, dtype, "r", start, (vertex.count,))
    return {name: rows[name] for name, _ in vertex.scalars}


def _longer(vertex: Element, file: Path) -> DataError:
    return DataError(
        f"{file}: the header states {vertex.count} vertices, the file goes on after them; it is "
        f"damaged{CURE}"
    )


def _end(stream: BinaryIO, start: int, size: int, order: str, element: Element, file: Path) -> int:
    """End of the bytes of an element. Rows with lists are read one by one."""
    least = sum(np.dtype(kinds[0]).itemsize for kinds in element.layout)
    check_count(file, f"elements {element.name!r:.80}", element.count, least, size - start)
    if not element.has_lists:
        return start + element.count * least
    walk = [
        (
            struct.Struct(order + np.dtype(kinds[0]).char),
            [np.dtype(kind).itemsize for kind in kinds],
        )
        for kinds in element.layout
    ]
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            for _ in range(element.count):
                for first, sizes in walk:
                    if len(sizes) == 2:
                        (length,) = first.unpack_from(data, start)
                        check_count(file, "items of a list", length, sizes[1], size - start)
                        start += length * sizes[1]
                    start += sizes[0]
        except struct.error as error:
            raise DataError(
                f"{file}: ends within its elements {element.name!r:.80}{CURE}"
            ) from error
    return start


def _ascii_columns(
    stream: BinaryIO, skipped: int, vertex: Element, last: bool, file: Path
) -> Mapping[str, np.ndarray]:
    """Columns of the lines after the first ``skipped``."""
    check_count(file, "vertices", vertex.count, 2 * len(vertex.scalars), file.stat().st_size)
    what = f"an ascii file of {vertex.count} vertices (a binary one needs less)"
    check_memory(file, what, 8 * vertex.count * len(vertex.scalars))
    if not vertex.count:
        return {name: np.empty(0, kind) for name, kind in vertex.scalars}
    lines = _lines(stream, file)
    seen = sum(1 for _ in islice(lines, skipped))
    table, there = np.empty((vertex.count, len(vertex.scalars))), 0
    while seen == skipped and there < vertex.count:
        rows = [*islice(lines, min(PART, vertex.count - there))]
        if not rows:
            break
        table[there : there + len(rows)] = _numbers(rows, vertex, file)
        there += len(rows)
    if there < vertex.count:
        raise DataError(
            f"{file}: the header states {vertex.count} vertices, the file ends after {there}{CURE}"
        )
    if last and next(lines, None) is not None:
        raise _longer(vertex, file)
    return {
        name: _typed(table[:, i], kind, name, file) for i, (name, kind) in enumerate(vertex.scalars)
    }


def _lines(stream: BinaryIO, file: Path) -> Iterator[str]:
    """The lines that are not blank."""
    text = io.TextIOWrapper(stream, encoding="latin-1")
    while line := text.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{file}: a line has more than {_LONGEST_LINE} characters{CURE}")
        if line.strip():
            yield line


def _numbers(rows: list[str], vertex: Element, file: Path) -> np.ndarray:
    try:
        table = np.loadtxt(rows, dtype=np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise DataError(f"{file}: a vertex line is no row of numbers ({error}){CURE}") from error
    if table.shape[1] != len(vertex.scalars):
        raise DataError(
            f"{file}: vertex lines hold {table.shape[1]} numbers, the header promises "
            f"{len(vertex.scalars)}{CURE}"
        )
    return table


def _typed(values: np.ndarray, kind: str, name: str, file: Path) -> np.ndarray:
    """Integers in their declared type, which implies their scale; floats as float64."""
    if kind.startswith("f"):
        return values
    limits = np.iinfo(kind)
    if not ((values >= limits.min) & (values <= limits.max) & (values == np.rint(values))).all():
        raise DataError(f"{file}: values of {name!r} do not fit their type {limits.dtype}{CURE}")
    return values.astype(kind)
