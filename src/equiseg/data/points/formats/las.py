"""LAS and LAZ files: reading in chunks, and writing with a new classification."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.data.points.formats.cloud_parts import PART
from equiseg.data.points.formats.label_choice import USUAL, choose_label
from equiseg.data.points.formats.label_values import MOST_RETURNS
from equiseg.data.points.formats.las_header import CURE, broken_las, check_las
from equiseg.foreign_files import check_memory
from equiseg.whole_files import replaced

try:
    import laspy
    import lazrs
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        'LAS and LAZ files need laspy[lazrs]: pip install "equiseg[points]"'
    ) from error

_MOST_BYTES = 1 << 26  # of the records of a chunk: a point may have up to 65,535 bytes
_LABELS = "classification"

_PARTS = {
    "rgb": ("red", "green", "blue"),
    "returns": ("return_number", "number_of_returns"),
}
_NO_ATTRIBUTE = ("X", "Y", "Z", _LABELS)
_FULL_16_BIT = 65535

# Offsets in the header (LAS 1.4 R15, table 3) and in the record of the compression.
_EVLR_POINTERS = (227, 235)  # waveforms, extended records: 8 bytes each
_CHUNK_SIZE = slice(12, 16)
_VARIABLE, _USUAL = (size.to_bytes(4, "little") for size in (0xFFFFFFFF, 50_000))
_COPC, _NO_COPC = (name.ljust(16, b"\0") for name in (b"copc", b"not copc"))


def las_size(file: Path) -> int:
    """Number of points, from the header alone.

    Raises:
        DataError: If the header cannot be read.
    """
    return check_las(file).points


def las_chunks(
    file: Path,
    wanted: Sequence[str] = (),
    *,
    points: int = PART,
    label_name: str | None = USUAL,
) -> Iterator[PointCloud]:
    """Read a LAS or LAZ file in chunks; the codes are its classification, or another dimension.

    Intensities are divided by 65535, and so are ``rgb`` and ``nir``. If the first chunk with
    nonzero values stays within 255, the file has 8-bit colours in 16-bit fields, and all its chunks
    are divided by 255. (Colours that are all zero stay zero.) ``returns`` is (return number, number
    of returns) / 7. Other dimensions, including extra ones, are unchanged. Withheld points are
    read, and marked.

    Args:
        file: The file.
        wanted: Names of the attributes to read.
        points: Largest number of points in a chunk, which bounds the memory.
        label_name: The dimension with the codes, see
            :func:`~equiseg.data.points.formats.label_choice.choose_label`.

    Yields:
        The points in the order of the file.

    Raises:
        DataError: If the file is no LAS or LAZ file, is truncated, has no points, has coordinates
            that are not finite, lacks a wanted attribute, or has an extra dimension with the name
            of labels in addition to its classification and there is no ``label_name``.
    """
    full_scales: dict[str, int] = {}
    record = None
    for record in _records(file, points):
        dimensions = list(record.point_format.dimension_names)
        label = choose_label(dimensions, label_name, file)
        whole = [name for name, parts in _PARTS.items() if set(parts) <= set(dimensions)]
        scalars = [name for name in dimensions if name not in (*_NO_ATTRIBUTE, label)]
        refuse_missing(wanted, [*whole, *scalars], file)
        attributes = {name: _attribute(name, record, full_scales, file) for name in wanted}
        xyz_N3 = np.stack([np.asarray(axis) for axis in (record.x, record.y, record.z)], axis=1)
        codes_N = None if label is None else np.asarray(record[label])
        withheld_N = np.asarray(record.withheld).astype(bool)
        cloud = PointCloud(xyz_N3, attributes, codes_N, withheld_N)
        yield checked(cloud, file, np.int32)
    if record is None:
        checked(PointCloud(np.empty((0, 3))), file, np.int32)  # raises: no points


def write_classification(source: Path, target: Path, classification_N: np.ndarray) -> None:
    """Copy a LAS or LAZ file with another classification; nothing else changes.

    Header, records (VLRs and EVLRs) and all other dimensions are copied byte by byte. The one
    exception is a COPC file: its octree index refers to compressed bytes, which change, so its
    records are renamed and the copy is a plain LAZ. The target is written as a whole, and may be
    the source itself.

    Args:
        source: The file to copy.
        target: The file to write, with the suffix of the source; compressed if the source is.
        classification_N: (N,) codes 0..255 in the order of the file.

    Raises:
        ValueError: If the codes are not N whole numbers, or the suffixes differ.
        DataError: If the source cannot be read, a code is above 255, or its point format (0 to 5)
            has no room for a code above 31.
    """
    if target.suffix.lower() != source.suffix.lower():
        raise ValueError(f"target must end in {source.suffix} as its source does, got {target}")
    check_las(source)
    with broken_las(source), source.open("rb") as stream:
        header = laspy.LasHeader.read_from(stream)
    codes_N = _valid_codes(np.asarray(classification_N), header, source)
    with (
        replaced(target, durable=False) as unfinished,
        source.open("rb") as read,
        unfinished.open("wb") as written,
    ):
        _copy(read, written, header, codes_N, source)


def _records(file: Path, points: int) -> Iterator[laspy.ScaleAwarePointRecord]:
    """The point records of laspy; errors name the file."""
    head = check_las(file)
    step = max(1, min(points, _MOST_BYTES // head.point_bytes))
    seen = 0
    with broken_las(file):
        reader = laspy.open(file, read_evlrs=False)
    with reader:
        chunks = reader.chunk_iterator(step)
        while True:
            with broken_las(file, seen):
                record = next(chunks, None)
            if record is None:
                break
            seen += len(record)
            yield record
    if seen < head.points:
        raise DataError(f"{file}: the header promises {head.points} points, there are {seen}{CURE}")


def _attribute(
    name: str, record: laspy.ScaleAwarePointRecord, full_scales: dict[str, int], file: Path
) -> np.ndarray:
    columns = [np.asarray(record[part]) for part in _PARTS.get(name, (name,))]
    values = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    if name in ("rgb", "nir"):
        divisor = _full_scale(name, values, full_scales, file)
    else:
        divisor = {"intensity": _FULL_16_BIT, "returns": MOST_RETURNS}.get(name, 1)
    return np.asarray(values / np.float32(divisor) if divisor > 1 else values)


def _full_scale(name: str, values: np.ndarray, known: dict[str, int], file: Path) -> int:
    """The raw value that means 1; the first nonzero values decide it."""
    most = int(values.max())
    if most and name not in known:
        known[name] = 255 if most <= 255 else _FULL_16_BIT
    if most > known.get(name, _FULL_16_BIT):
        raise DataError(
            f"{file}: values of {name!r} start within 8 bit and later reach {most}; rescale them "
            "to 16 bit throughout, or leave this attribute out of the features"
        )
    return known.get(name, _FULL_16_BIT)


def _valid_codes(codes_N: np.ndarray, header: laspy.LasHeader, source: Path) -> np.ndarray:
    if codes_N.shape != (header.point_count,) or not np.issubdtype(codes_N.dtype, np.integer):
        raise ValueError(
            f"classification_N must be {header.point_count} whole numbers, one per point of "
            f"{source}, got {codes_N.dtype} of shape {codes_N.shape}"
        )
    if wrong := sorted({*codes_N[(codes_N < 0) | (codes_N > 255)].tolist()}):
        raise DataError(
            f"{source}: a classification must lie in 0..255, got {wrong[:5]}; give the classes of "
            "the card such codes to write them to LAS"
        )
    most = int(codes_N.max(initial=0))
    if most > 31 and header.point_format.id < 6:
        raise DataError(
            f"{source}: point format {header.point_format.id} has no room for code {most}, only "
            "for 0..31; convert the file to format 6, 7 or 8 first, for instance by "
            "laspy.convert(laspy.read(file), point_format_id=6).write(converted)"
        )
    return codes_N.astype(np.uint8)


def _copy(
    read: BinaryIO, written: BinaryIO, header: laspy.LasHeader, codes_N: np.ndarray, source: Path
) -> None:
    """Copy header and records, the points with new codes, then the rest of the file."""
    head = bytearray(read.read(header.offset_to_point_data))
    compressor = None
    if header.are_points_compressed:
        head = head.replace(_COPC, _NO_COPC)
        with broken_las(source):
            compression = header.vlrs.get("LasZipVlr")[0].record_data
        if compression[_CHUNK_SIZE] == _VARIABLE:  # the chunk sizes are only in the source's index
            usual = compression[: _CHUNK_SIZE.start] + _USUAL + compression[_CHUNK_SIZE.stop :]
            head = head.replace(compression, usual)
            compression = usual
        written.write(head)
        with broken_las(source):
            compressor = lazrs.LasZipCompressor(written, lazrs.LazVlr(compression))
        rest = header.start_of_first_evlr if header.number_of_evlrs else source.stat().st_size
    else:
        written.write(head)
        rest = len(head) + header.point_count * header.point_format.size
    start = 0
    for record in _records(source, PART):
        record.classification = codes_N[start : start + len(record)]
        start += len(record)
        row_bytes = record.array.tobytes()
        if compressor is None:
            written.write(row_bytes)
        else:
            compressor.compress_many(row_bytes)
    if compressor is not None:
        compressor.done()
    moved = written.seek(0, 2) - rest
    read.seek(rest)
    if compressor is None:
        shutil.copyfileobj(read, written)
    elif header.number_of_evlrs:
        with as_data_errors():
            check_memory(source, "the records after its points", source.stat().st_size - rest)
        written.write(read.read().replace(_COPC, _NO_COPC))
        for place in _EVLR_POINTERS:
            pointer = int.from_bytes(head[place : place + 8], "little")
            if pointer >= rest:
                written.seek(place)
                written.write((pointer + moved).to_bytes(8, "little"))
