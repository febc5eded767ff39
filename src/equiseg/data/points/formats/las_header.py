"""Checks of the counts and lengths in a LAS or LAZ file, before laspy and lazrs allocate by them.

Tables and sizes: LAS 1.4 R15 (ASPRS 2019), and the record of LASzip (Isenburg 2013).
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from equiseg.data.errors import DataError, as_data_errors
from equiseg.foreign_files import check_count, check_file, check_memory
from equiseg.foreign_text import short

CURE = "; fetch or export it again, or leave it out of the split"
_HEADER_BYTES = {0: 227, 1: 227, 2: 227, 3: 235, 4: 375, 5: 393}  # by minor version
_POINT_BYTES = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)  # by point format
_COMPRESSED_BITS = 0xC0  # of the point format: one of them means LAZ
_RECORD_BYTES, _LONG_RECORD_BYTES = 54, 60  # of a VLR and an EVLR, without their data
_LASZIP = (b"laszip encoded".ljust(16, b"\0"), 22204)
# With 32 bits, steps of 0.1 nm span 43 cm, and steps of 10 m span 43 million km.
_FINEST, _COARSEST = 1e-10, 10.0
_FARTHEST = 1e9  # m or degrees: offsets beyond this leave no millimetres in float64

# Compressors and items of LASzip: type -> size in bytes (0: any) and number of layers.
_ONE_CHUNK, _CHUNKED, _LAYERED = 1, 2, 3
_VARIABLE = 0xFFFFFFFF
_ITEM_BYTES = {6: 20, 7: 8, 8: 6, 9: 29, 0: 0, 10: 30, 11: 6, 12: 8, 13: 29, 14: 0}
_LAYERED_ITEMS = (10, 11, 12, 13, 14)
_ITEM_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}  # type 14: one for each byte


class LasHead(NamedTuple):
    """The values in the header of a file.

    Attributes:
        size: Bytes of the file.
        points: Number of points.
        point_bytes: Bytes of a point, uncompressed.
        start: Where the points begin.
        header_bytes: Bytes of the header.
        records: Number of records (VLRs) before the points.
        long_records: Number of records after the points (EVLRs), and where they begin.
        compressed: Whether the file is a LAZ file.
    """

    size: int
    points: int
    point_bytes: int
    start: int
    header_bytes: int
    records: int
    long_records: tuple[int, int]
    compressed: bool


def check_las(file: Path) -> LasHead:
    """Compare all counts of a header with the size of the file.

    Returns:
        The numbers of the header.

    Raises:
        DataError: If the file is no LAS or LAZ file, is cut, states more points, records or chunks
            than it can hold, or its scales or offsets are unusable.
    """
    with as_data_errors():
        size = check_file(file)
        try:
            with file.open("rb") as stream:
                head = _head(stream, size, file)
                laszip = _records(stream, head, file)
                if head.compressed:
                    _check_laszip(stream, head, laszip, file)
        except struct.error as error:
            raise DataError(f"{file}: ends within its header or records{CURE}") from error
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error})") from error
    return head


@contextmanager
def broken_las(file: Path, seen: int = 0) -> Iterator[None]:
    """Whatever laspy and lazrs raise for a broken file becomes a DataError that names it.

    Args:
        file: The file.
        seen: Points that were read before.
    """
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        # A panic of lazrs is a BaseException of pyo3 whose class cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        after = f" after {seen} points" if seen else ""
        raise DataError(
            f"{file}: cannot be read{after} ({short(error) or type(error).__name__}){CURE}"
        ) from error


def _read(stream: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack("<" + form, stream.read(struct.calcsize("<" + form)))


def _head(stream: BinaryIO, size: int, file: Path) -> LasHead:
    if stream.read(4) != b"LASF":
        raise DataError(f"{file}: is not a LAS or LAZ file: it does not begin with LASF{CURE}")
    stream.seek(24)
    major, minor = _read(stream, "BB")
    if major != 1 or minor not in _HEADER_BYTES:
        raise DataError(f"{file}: LAS version {major}.{minor}, known are 1.0 to 1.5{CURE}")
    stream.seek(94)
    header_bytes, start, records, form, point_bytes, points = _read(stream, "HIIBHI")
    stream.seek(131)
    steps = struct.unpack("<6d", stream.read(48))
    long_records = (0, 0)
    if minor >= 4:
        stream.seek(235)
        begin, number, points = _read(stream, "QIQ")
        long_records = (number, begin)
    if not _HEADER_BYTES[minor] <= header_bytes <= start <= size:
        raise DataError(
            f"{file}: the header of {header_bytes} bytes ends at most at the points, at {start} of "
            f"{size} bytes; the file is cut or damaged{CURE}"
        )
    compressed, form = bool(form & _COMPRESSED_BITS), form & ~_COMPRESSED_BITS
    if form >= len(_POINT_BYTES) or point_bytes < _POINT_BYTES[form]:
        raise DataError(
            f"{file}: points of format {form} in {point_bytes} bytes each; known are formats 0 to "
            f"10 with at least their standard size{CURE}"
        )
    _check_steps(steps, file)
    if not compressed:
        check_count(file, "points", points, point_bytes, size - start)
    check_memory(file, f"{start} bytes of records before the points", start)
    return LasHead(
        size, points, point_bytes, start, header_bytes, records, long_records, compressed
    )


def _check_steps(steps: tuple[float, ...], file: Path) -> None:
    for axis, scale, offset in zip("xyz", steps[:3], steps[3:], strict=True):
        if not _FINEST <= scale <= _COARSEST:  # also if it is NaN
            raise DataError(
                f"{file}: the scale of {axis} is {scale:.6g}, it must be from {_FINEST:g} to "
                f"{_COARSEST:g}{CURE}"
            )
        if not (math.isfinite(offset) and abs(offset) <= _FARTHEST):
            raise DataError(
                f"{file}: the offset of {axis} is {offset:.6g}, it must lie within "
                f"{_FARTHEST:g} of 0{CURE}"
            )


def _records(stream: BinaryIO, head: LasHead, file: Path) -> bytes | None:
    """Walk over all records; the data of the one that describes the compression."""
    found = None
    room = head.start - head.header_bytes
    check_count(file, "records (VLRs)", head.records, _RECORD_BYTES, room)
    stream.seek(head.header_bytes)
    for _ in range(head.records):
        _, user, number, length, _ = struct.unpack("<H16sHH32s", stream.read(_RECORD_BYTES))
        check_count(file, "bytes in a record (VLR)", length, 1, head.start - stream.tell())
        if (user, number) == _LASZIP:
            found = stream.read(length)
        else:
            stream.seek(length, os.SEEK_CUR)
    number, begin = head.long_records
    if number:
        room = head.size - begin if begin >= head.start else 0
        check_count(file, "records (EVLRs)", number, _LONG_RECORD_BYTES, room)
        stream.seek(begin)
        for _ in range(number):
            *_, length, _ = struct.unpack("<H16sHQ32s", stream.read(_LONG_RECORD_BYTES))
            check_count(file, "bytes in a record (EVLR)", length, 1, head.size - stream.tell())
            stream.seek(length, os.SEEK_CUR)
    return found


def _check_laszip(stream: BinaryIO, head: LasHead, record: bytes | None, file: Path) -> None:
    if record is None or len(record) < 34:
        raise DataError(f"{file}: is compressed, but has no whole record of LASzip{CURE}")
    compressor, chunk_points = struct.unpack_from("<H10xI", record)
    items = _items(record, head, file)
    if compressor not in (_ONE_CHUNK, _CHUNKED, _LAYERED):
        raise DataError(f"{file}: unknown compressor {compressor}, known are 1 to 3{CURE}")
    if any((compressor == _LAYERED) != (kind in _LAYERED_ITEMS) for kind, _ in items):
        raise DataError(f"{file}: compressor {compressor} does not fit its point format{CURE}")
    if compressor == _ONE_CHUNK or not head.points:
        return
    if chunk_points != _VARIABLE:
        if not chunk_points:
            raise DataError(f"{file}: states chunks of 0 points{CURE}")
        # lazrs allocates a whole chunk, however few points there are.
        check_memory(file, f"a chunk of {chunk_points} points", chunk_points * head.point_bytes)
    chunks = _chunk_sizes(stream, head, record, chunk_points, file)
    if compressor == _LAYERED:
        layers = sum(size if kind == 14 else _ITEM_LAYERS[kind] for kind, size in items)
        _check_layers(stream, head, chunks, layers, file)


def _items(record: bytes, head: LasHead, file: Path) -> list[tuple[int, int]]:
    """The parts of a point, (type, bytes); together they are a point of the header."""
    (number,) = struct.unpack_from("<H", record, 32)
    check_count(file, "parts of a point", number, 6, len(record) - 34)
    items = [struct.unpack_from("<HH", record, 34 + 6 * i) for i in range(number)]
    known = all(
        kind in _ITEM_BYTES and size and _ITEM_BYTES[kind] in (0, size) for kind, size in items
    )
    if not known or sum(size for _, size in items) != head.point_bytes:
        raise DataError(
            f"{file}: the compressed points have {sum(size for _, size in items)} bytes in "
            f"{number} parts, the header says {head.point_bytes}{CURE}"
        )
    return items


def _chunk_sizes(
    stream: BinaryIO, head: LasHead, record: bytes, chunk_points: int, file: Path
) -> list[int]:
    """The bytes of each chunk, which lie one after the other before their table."""
    import lazrs

    first = head.start + 8
    stream.seek(head.start)
    (table,) = struct.unpack("<q", stream.read(8))
    if table <= head.start:  # written without seeking back: the place is at the end
        stream.seek(-8, os.SEEK_END)
        (table,) = struct.unpack("<q", stream.read(8))
    if not first <= table <= head.size - 8:
        raise DataError(
            f"{file}: the table of its chunks must lie between the points, at {first}, and the end "
            f"of its {head.size} bytes, the file says {table}{CURE}"
        )
    stream.seek(table)
    (number,) = struct.unpack("<4xI", stream.read(8))
    check_count(file, "chunks", number, head.point_bytes, table - first)
    stream.seek(head.start)
    with broken_las(file):
        pairs = lazrs.read_chunk_table(stream, lazrs.LazVlr(record))
    points = sum(count for count, _ in pairs)
    sizes = [size for _, size in pairs]
    if chunk_points != _VARIABLE:
        points = chunk_points * number
        whole = points - chunk_points < head.points <= points
    else:
        whole = points == head.points and all(count <= head.points for count, _ in pairs)
        largest = max((count for count, _ in pairs), default=0)
        check_memory(file, f"a chunk of {largest} points", largest * head.point_bytes)
    if not whole or sum(sizes) > table - first:
        raise DataError(
            f"{file}: the header states {head.points} points, its {number} chunks hold {points} in "
            f"{sum(sizes)} of {table - first} bytes; the file is damaged{CURE}"
        )
    return sizes


def _check_layers(
    stream: BinaryIO, head: LasHead, chunks: list[int], layers: int, file: Path
) -> None:
    """The lengths of the layers in each chunk: lazrs allocates them as they are stated."""
    begin = head.start + 8
    points = 0
    for number, size in enumerate(chunks):
        if not size:
            continue  # writers may end with an empty chunk
        stream.seek(begin + head.point_bytes)  # the first point is not compressed
        count, *lengths = struct.unpack(f"<I{layers}I", stream.read(4 + 4 * layers))
        room = size - head.point_bytes - 4 - 4 * layers
        if sum(lengths) > room:
            raise DataError(
                f"{file}: chunk {number} states layers of {sum(lengths)} bytes, it has room for "
                f"{max(room, 0)}; the file is damaged{CURE}"
            )
        points += count
        begin += size
    if points != head.points:
        raise DataError(
            f"{file}: the header states {head.points} points, its chunks {points}; the file is "
            f"damaged{CURE}"
        )
