"""PLY files: reading and writing the vertices of a mesh or a point cloud, ascii or binary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import refuse_missing
from equiseg.data.points.formats.cloud_parts import PART, cloud_parts, joined
from equiseg.data.points.formats.label_choice import USUAL, choose_label
from equiseg.data.points.formats.ply_header import AXES, CURE, TYPE_NAMES, plain, read_header
from equiseg.data.points.formats.ply_vertices import read_vertices
from equiseg.foreign_files import check_file
from equiseg.whole_files import replace_file

# The properties of each attribute; names are compared in lower case and without CloudCompare's
# prefix "scalar_".
_PARTS = {
    "rgb": ("red", "green", "blue"),
    "normal": ("nx", "ny", "nz"),
    "returns": ("return_number", "number_of_returns"),
}
_PACKED = ("rgb", "rgba")  # colours of the Point Cloud Library, three bytes in one number


def read_ply(file: Path, wanted: Sequence[str] = (), label_name: str | None = USUAL) -> PointCloud:
    """Read all vertices of a PLY file at once; see :func:`ply_parts`."""
    return joined(ply_parts(file, wanted, label_name))


def ply_parts(
    file: Path, wanted: Sequence[str] = (), label_name: str | None = USUAL, *, points: int = PART
) -> Iterator[PointCloud]:
    """Read the vertices of a PLY file in parts; faces and all other elements are skipped.

    Colours are ``red green blue``, normals ``nx ny nz``, returns ``return_number
    number_of_returns``; any other attribute is the property with its name, in lower case and
    without CloudCompare's ``scalar_``. For scales see
    :func:`~equiseg.data.points.formats.label_values.to_range`.

    Args:
        file: Ascii (read at once), or binary of either byte order (mapped from disk).
        wanted: Names of the attributes to read.
        label_name: The property with the class codes, see
            :func:`~equiseg.data.points.formats.label_choice.choose_label`.
        points: Largest number of points in a part.

    Yields:
        The points in the order of the file.

    Raises:
        DataError: If the file is no PLY file, is truncated, has no vertices or no coordinates,
            lacks a wanted attribute, or contains invalid values.
    """
    with as_data_errors():
        check_file(file)
        try:
            with file.open("rb") as stream:
                order, elements = read_header(stream, file)
                columns = read_vertices(stream, order, elements, file)
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error})") from error
    whole = {name: parts for name, parts in _PARTS.items() if set(parts) <= set(columns)}
    label = choose_label(columns, label_name and plain(label_name), file)
    scalars = [name for name in columns if name not in (*AXES, label)]
    if "rgb" in wanted and "rgb" not in whole and (packed := set(_PACKED) & set(columns)):
        raise DataError(
            f"{file}: colours are packed into one number, {min(packed)!r}; save them as red, green "
            f"and blue{CURE}"
        )
    refuse_missing(wanted, [*whole, *scalars], file)
    yield from cloud_parts(
        file,
        [columns[axis] for axis in AXES],
        {name: [columns[part] for part in whole.get(name, (name,))] for name in wanted},
        None if label is None else columns[label],
        points,
    )


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
        axis: ("<f8" if rounding > 1e-3 else "<f4", xyz_N3[:, i]) for i, axis in enumerate(AXES)
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
            f"property {TYPE_NAMES[kind.lstrip('<')][0]} {name}"
            for name, (kind, _) in columns.items()
        ),
        "end_header\n",
    ]
    return "\n".join(lines).encode("ascii") + vertices.tobytes()
