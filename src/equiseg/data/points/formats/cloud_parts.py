"""Points in parts from arrays of a whole file, in memory or mapped from disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import CHANNELS, PointCloud
from equiseg.data.points.formats.cloud_checks import checked
from equiseg.data.points.formats.label_values import scale_of, scaled

PART = 1_000_000  # points that are read at a time


def cloud_parts(
    file: Path,
    xyz: Sequence[np.ndarray],
    attributes: Mapping[str, Sequence[np.ndarray]],
    codes_N: np.ndarray | None,
    points: int = PART,
) -> Iterator[PointCloud]:
    """Yield the points of a file in parts, scaled and checked.

    Args:
        file: The file, for messages.
        xyz: The coordinates: one array (N, 3), or three (N,).
        attributes: Raw values of each attribute: one array (N,) or (N, C), or C arrays (N,).
        codes_N: Class codes, (N,) or (N, 1).
        points: Largest number of points in a part.

    Raises:
        DataError: As :func:`~equiseg.data.points.formats.cloud_checks.checked`.
    """
    num_points = len(xyz[0])
    if not num_points:
        raise DataError(f"{file}: holds no points; leave it out of the split")
    for name, columns in attributes.items():
        if any(len(column) != num_points for column in columns):
            shape = (num_points, CHANNELS.get(name, 1))
            raise DataError(
                f"{file}: attribute {name!r} must be of shape {shape}, one row per point, got "
                f"{columns[0].shape}; save it again"
            )
    if codes_N is not None and codes_N.ndim == 2 and codes_N.shape[1] == 1:
        codes_N = codes_N[:, 0]
    if codes_N is not None and codes_N.shape != (num_points,):
        raise DataError(
            f"{file}: {num_points} points, but labels of shape {codes_N.shape}; there must be one "
            "label per point; save them again"
        )
    stored = np.result_type(*xyz)
    scales = {name: scale_of(name, columns, file) for name, columns in attributes.items()}
    for begin in range(0, num_points, points):
        rows = slice(begin, begin + points)
        values = {
            name: scaled(name, _joined(columns, rows), scales[name])
            for name, columns in attributes.items()
        }
        part_codes_N = None if codes_N is None else np.asarray(codes_N[rows])
        yield checked(PointCloud(_joined(xyz, rows), values, part_codes_N), file, stored)


def joined(parts: Iterable[PointCloud]) -> PointCloud:
    """All parts of a file as one cloud."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    codes = [part.codes_N for part in parts if part.codes_N is not None]
    return PointCloud(
        np.concatenate([part.xyz_N3 for part in parts]),
        {
            name: np.concatenate([part.attributes[name] for part in parts])
            for name in parts[0].attributes
        },
        np.concatenate(codes) if codes else None,
    )


def _joined(columns: Sequence[np.ndarray], rows: slice) -> np.ndarray:
    """Some rows of an array, or of several arrays that are its columns."""
    if len(columns) == 1:
        return np.asarray(columns[0][rows])
    return np.stack([column[rows] for column in columns], axis=1)
