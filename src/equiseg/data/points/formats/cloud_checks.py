"""Checks of point clouds that every reader makes before it returns points."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import CHANNELS, PointCloud
from equiseg.foreign_text import short

# Coordinates that the file rounds more coarsely than this, in meters, have lost the shape of small
# objects. 0.05 m is a small voxel; float32 rounds so coarsely from 524 km of the origin.
_COARSEST = 0.05
_INSPECT = "; export the scan again, or leave it out of the split"


def checked(cloud: PointCloud, file: Path, stored_dtype: npt.DTypeLike) -> PointCloud:
    """The cloud in the types that :class:`PointCloud` promises, if its values can be used.

    Args:
        cloud: The result of a reader, in any numeric types; attributes of one channel may be (N,).
        file: The file, for messages.
        stored_dtype: Type of the coordinates in the file, which limits their precision.

    Returns:
        The same points: float64 coordinates, (N, C) float32 attributes, int64 codes.

    Raises:
        DataError: If there are no points, a coordinate or an attribute is NaN or infinite, an
            attribute or the codes are not one per point, a code is not a whole number, or the
            coordinates are too large for their type.
    """
    with np.errstate(invalid="ignore"):  # NaN is refused below
        xyz_N3 = np.ascontiguousarray(cloud.xyz_N3, dtype=np.float64)
    if xyz_N3.ndim != 2 or xyz_N3.shape[1] != 3:
        raise DataError(
            f"{file}: coordinates must be of shape (N, 3), got {xyz_N3.shape}{_INSPECT}"
        )
    if not len(xyz_N3):
        raise DataError(f"{file}: holds no points; leave it out of the split")
    _refuse_non_finite(xyz_N3, "coordinates", file)
    _refuse_coarse(xyz_N3, np.dtype(stored_dtype), file)
    attributes = {
        name: _checked_attribute(values, name, len(xyz_N3), file)
        for name, values in cloud.attributes.items()
    }
    codes_N = None if cloud.codes_N is None else _checked_codes(cloud.codes_N, len(xyz_N3), file)
    if (withheld_N := cloud.withheld_N) is not None:
        withheld_N = np.asarray(withheld_N)
        if withheld_N.shape != (len(xyz_N3),) or withheld_N.dtype != bool:
            raise DataError(
                f"{file}: withheld marks must be bool of shape {(len(xyz_N3),)}, got "
                f"{withheld_N.dtype} of shape {withheld_N.shape}{_INSPECT}"
            )
    return PointCloud(xyz_N3, attributes, codes_N, withheld_N)


def refuse_missing(wanted: Iterable[str], available: Iterable[str], file: Path) -> None:
    """Refuse a file that lacks a wanted attribute, and list its attributes.

    Raises:
        DataError: If an attribute is missing.
    """
    available = list(dict.fromkeys(available))
    if missing := [name for name in wanted if name not in available]:
        raise DataError(
            f"{file}: has no attribute {short(', '.join(map(repr, missing)))}, only "
            f"{short(available or 'coordinates', 300)}; choose the features among these"
        )


def _checked_attribute(values: np.ndarray, name: str, points: int, file: Path) -> np.ndarray:
    values_NC = np.asarray(values)
    if values_NC.ndim == 1:
        values_NC = values_NC[:, None]
    shape = (points, CHANNELS.get(name, values_NC.shape[-1]))
    if values_NC.shape != shape:
        raise DataError(
            f"{file}: attribute {name!r} must be of shape {shape}, one row per point, got "
            f"{np.shape(values)}{_INSPECT}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are refused below
        values_NC = np.ascontiguousarray(values_NC, dtype=np.float32)
    _refuse_non_finite(values_NC, f"values of {name!r}", file)
    return values_NC


def _checked_codes(codes: np.ndarray, points: int, file: Path) -> np.ndarray:
    codes = np.asarray(codes)
    if codes.shape != (points,):
        raise DataError(
            f"{file}: {points} points, but labels of shape {codes.shape}; there must be one label "
            f"per point{_INSPECT}"
        )
    with np.errstate(invalid="ignore"):  # NaN is no whole number and is reported below
        codes_N = codes.astype(np.int64)
    if len(wrong := codes[codes_N != codes]):
        raise DataError(f"{file}: labels must be whole numbers, got {wrong[:5].tolist()}{_INSPECT}")
    return np.ascontiguousarray(codes_N)


def _refuse_non_finite(values: np.ndarray, what: str, file: Path) -> None:
    points = int((~np.isfinite(values)).any(axis=1).sum())
    if points:
        raise DataError(
            f"{file}: {what} are NaN or infinite at {points} of {len(values)} points; "
            "remove these points, or leave the scan out of the split"
        )


def _refuse_coarse(xyz_N3: np.ndarray, stored: np.dtype, file: Path) -> None:
    if not np.issubdtype(stored, np.floating):
        return
    largest = np.abs(xyz_N3).max()
    with np.errstate(over="ignore"):
        step = float(np.spacing(stored.type(largest)))
    if not step <= _COARSEST:  # infinity has no spacing
        raise DataError(
            f"{file}: coordinates up to {largest:.3g} in {stored.name} resolve only {step:.2g} m; "
            "subtract an origin or save float64"
        )
