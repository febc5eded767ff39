"""PLY files: reading and writing the vertices of a mesh or a point cloud, ascii or binary."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.data.points.formats.label_values import to_range
from equiseg.data.points.formats.table import FORMATS
from equiseg.whole_files import replace_file

_TYPE_NAMES = {
    "i1": ("char", "int8"),
    "u1": ("uchar", "uint8"),
    "i2": ("short", "int16"),
    "u2": ("ushort", "uint16"),
    "i4": ("int", "int32"),
    "u4": ("uint", "uint32"),
    "f4": ("float", "float32"),
    "f8": ("double", "float64"),
}
_TYPES = {name: kind for kind, names in _TYPE_NAMES.items() for name in names}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}

# The properties of each attribute; names are compared in lower case and without CloudCompare's
# prefix "scalar_".
_AXES = ("x", "y", "z")
_PARTS = {
    "rgb": ("red", "green", "blue"),
    "normal": ("nx", "ny", "nz"),
    "returns": ("return_number", "number_of_returns"),
}
_LABELS = FORMATS["ply"].label_names  # the first that exists
_CURE = "; export it again, or leave it out of the split"


def read_ply(file: Path, wanted: Sequence[str] = ()) -> PointCloud:
    """Read the vertices of a PLY file; faces and all other elements are skipped.

    Colours are ``red green blue``, normals ``nx ny nz``, returns ``return_number
    number_of_returns``; any other attribute is the property with its name, in lower case and
    without CloudCompare's ``scalar_``. Class codes are the first of ``label``, ``class`` and
    ``classification`` that exists. For scales see
    :func:`~equiseg.data.points.formats.label_values.to_range`.

    Args:
        file: Ascii, or binary of either byte order.
        wanted: Names of the attributes to read.

    Raises:
        DataError: If the file is no PLY file, is truncated, has no vertices or no coordinates,
            lacks a wanted attribute, or contains invalid values.
    """
    try:
        with file.open("rb") as stream:
            order, elements = _read_header(stream, file)
            columns = _read_vertices(stream, order, elements, file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    if absent := set(_AXES) - set(columns):
        raise DataError(f"{file}: vertices have no {sorted(absent)}, only {list(columns)}{_CURE}")
    whole = {name: parts for name, parts in _PARTS.items() if set(parts) <= set(columns)}
    label = next((name for name in _LABELS if name in columns), None)
    scalars = [name for name in columns if name not in (*_AXES, label)]
    refuse_missing(wanted, [*whole, *scalars], file)
    raw = {name: np.stack([columns[p] for p in whole.get(name, (name,))], 1) for name in wanted}
    cloud = PointCloud(
        np.stack([columns[axis] for axis in _AXES], axis=1),
        {name: to_range(name, values, file) for name, values in raw.items()},
        None if label is None else columns[label],
    )
    return checked(cloud, file, cloud.xyz_N3.dtype)


def write_ply(
    file: Path,
    xyz_N3: np.ndarray,
    *,
    rgb_N3: np.ndarray | None = None,
    labels_N: np.ndarray | None = None,
    confidence_N: np.ndarray | None = None,
) -> None:
    """Write points as a binary little-endian PLY file that common viewers open.

    Args:
        file: The file to write; overwritten if it exists.
        xyz_N3: (N, 3) coordinates, written as float32, which most viewers expect, or as float64 if
            float32 would move a point by more than 1 mm.
        rgb_N3: (N, 3) uint8 colours.
        labels_N: (N,) whole numbers, written as the int property ``label``.
        confidence_N: (N,) probabilities of the labels, written as the float property
            ``confidence``.

    Raises:
        ValueError: If a shape, the type of the colours or a label is invalid.
    """
    xyz_N3 = np.asarray(xyz_N3, dtype=np.float64)
    if xyz_N3.ndim != 2 or xyz_N3.shape[1] != 3:
        raise ValueError(f"xyz_N3 must be of shape (N, 3), got {xyz_N3.shape}")
    rounding = np.abs(xyz_N3.astype(np.float32) - xyz_N3).max(initial=0)
    columns = {
        axis: ("<f8" if rounding > 1e-3 else "<f4", xyz_N3[:, i]) for i, axis in enumerate(_AXES)
    }
    if rgb_N3 is not None:
        if rgb_N3.shape != xyz_N3.shape or rgb_N3.dtype != np.uint8:
            raise ValueError(
                f"rgb_N3 must be uint8 of shape {xyz_N3.shape}, got {rgb_N3.dtype} {rgb_N3.shape}"
            )
        columns |= {name: ("u1", rgb_N3[:, i]) for i, name in enumerate(_PARTS["rgb"])}
    if labels_N is not None:
        if labels_N.shape != xyz_N3.shape[:1] or (labels_N.astype(np.int32) != labels_N).any():
            raise ValueError(
                f"labels_N must be {len(xyz_N3)} whole numbers of 32 bit, got {labels_N.dtype} "
                f"{labels_N.shape}"
            )
        columns["label"] = ("<i4", labels_N)
    if confidence_N is not None:
        columns["confidence"] = ("<f4", confidence_N)
    content = _encoded(columns, len(xyz_N3))
    replace_file(file, lambda stream: stream.write(content), durable=False)


def _encoded(columns: Mapping[str, tuple[str, np.ndarray]], num_points: int) -> bytes:
    """The bytes of a PLY file with these properties: name -> (type, values)."""
    vertices = np.empty(num_points, dtype=[(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        vertices[name] = values
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {num_points}",
        *(
            f"property {_TYPE_NAMES[kind.lstrip('<')][0]} {name}"
            for name, (kind, _) in columns.items()
        ),
        "end_header\n",
    ]
    return "\n".join(lines).encode("ascii") + vertices.tobytes()


@dataclass
class _Element:
    """One element of a file: its name, number of rows and properties."""

    name: str
    count: int
    scalars: list[tuple[str, str]] = field(default_factory=list)  # name, type code
    layout: list[tuple[str, ...]] = field(default_factory=list)  # (type) or (count type, item type)

    @property
    def has_lists(self) -> bool:
        return len(self.scalars) < len(self.layout)


def _read_header(stream: BinaryIO, file: Path) -> tuple[str, list[_Element]]:
    """Read the byte order and the elements; the stream then is at the first byte of data."""
    if stream.read(3) != b"ply" or stream.readline().strip():
        raise DataError(f"{file}: is not a PLY file: it does not begin with the line 'ply'{_CURE}")
    order, elements = None, []
    for line in iter(stream.readline, b""):
        words = line.decode("latin-1").split()
        try:
            match words:
                case ["end_header"] if order is not None:
                    return order, elements
                case ["format", form, "1.0"]:
                    order = _BYTE_ORDERS[form]
                case ["element", name, count]:
                    elements.append(_Element(name, int(count)))
                case ["property", "list", count, item, _]:
                    elements[-1].layout.append((_TYPES[count], _TYPES[item]))
                case ["property", kind, name]:
                    elements[-1].layout.append((_TYPES[kind],))
                    elements[-1].scalars.append((_plain(name), _TYPES[kind]))
                case [] | ["comment" | "obj_info", *_]:
                    continue
                case _:
                    raise ValueError
        except (KeyError, IndexError, ValueError) as error:
            text = " ".join(words)[:80]
            raise DataError(f"{file}: cannot parse header line {text!r}{_CURE}") from error
    raise DataError(f"{file}: the header has no format or no end_header line{_CURE}")


def _plain(name: str) -> str:
    return name.lower().removeprefix("scalar_")


def _read_vertices(
    stream: BinaryIO, order: str, elements: list[_Element], file: Path
) -> dict[str, np.ndarray]:
    """The vertices' scalars by name, in the types of the file (ascii floats: float64)."""
    names = [element.name for element in elements]
    if "vertex" not in names:
        raise DataError(f"{file}: has no vertices, only elements {names}{_CURE}")
    before, vertex = elements[: names.index("vertex")], elements[names.index("vertex")]
    if vertex.has_lists:
        raise DataError(f"{file}: vertices hold lists, which are not supported{_CURE}")
    if len({name for name, _ in vertex.scalars}) < len(vertex.scalars):
        names = [name for name, _ in vertex.scalars]
        raise DataError(f"{file}: two vertex properties share a name among {names}{_CURE}")
    if order == "=":
        return _ascii_columns(stream, sum(element.count for element in before), vertex, file)
    data = stream.read()
    start = 0
    for element in before:
        start = _end(data, start, order, element, file)
    dtype = np.dtype([(name, order + kind) for name, kind in vertex.scalars])
    there = (len(data) - start) // max(1, dtype.itemsize)
    if there < vertex.count:
        raise DataError(
            f"{file}: the header promises {vertex.count} vertices, the file ends after "
            f"{max(0, there)}{_CURE}"
        )
    rows = np.frombuffer(data, dtype, vertex.count, start)
    return {name: rows[name].astype(kind) for name, kind in vertex.scalars}


def _end(data: bytes, start: int, order: str, element: _Element, file: Path) -> int:
    """End of the bytes of an element. Rows with lists are read one by one."""
    if not element.has_lists:
        return start + element.count * sum(np.dtype(kind).itemsize for _, kind in element.scalars)
    walk = [
        (
            struct.Struct(order + np.dtype(kinds[0]).char),
            [np.dtype(kind).itemsize for kind in kinds],
        )
        for kinds in element.layout
    ]
    try:
        for _ in range(element.count):
            for first, sizes in walk:
                if len(sizes) == 2:
                    start += first.unpack_from(data, start)[0] * sizes[1]
                start += sizes[0]
    except struct.error as error:
        raise DataError(f"{file}: ends within its elements {element.name!r}{_CURE}") from error
    return start


def _ascii_columns(
    stream: BinaryIO, skipped: int, vertex: _Element, file: Path
) -> dict[str, np.ndarray]:
    lines = [line for line in stream.read().decode("latin-1").splitlines() if line.strip()]
    rows = lines[skipped : skipped + vertex.count]
    if len(rows) < vertex.count:
        raise DataError(
            f"{file}: the header promises {vertex.count} vertices, the file ends after "
            f"{len(rows)}{_CURE}"
        )
    if not rows:
        return {name: np.empty(0, kind) for name, kind in vertex.scalars}
    try:
        table = np.loadtxt(rows, dtype=np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise DataError(f"{file}: a vertex line is no row of numbers ({error}){_CURE}") from error
    if table.shape[1] != len(vertex.scalars):
        raise DataError(
            f"{file}: vertex lines hold {table.shape[1]} numbers, the header promises "
            f"{len(vertex.scalars)}{_CURE}"
        )
    return {
        name: _typed(table[:, i], kind, name, file) for i, (name, kind) in enumerate(vertex.scalars)
    }


def _typed(values: np.ndarray, kind: str, name: str, file: Path) -> np.ndarray:
    """Integers in their declared type, which implies their scale; floats as float64."""
    if kind.startswith("f"):
        return values
    limits = np.iinfo(kind)
    if not ((values >= limits.min) & (values <= limits.max) & (values == np.rint(values))).all():
        raise DataError(f"{file}: values of {name!r} do not fit their type {limits.dtype}{_CURE}")
    return values.astype(kind)
