"""Scaling of raw attribute values to the ranges of PointCloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError

MOST_RETURNS = 7  # returns per pulse in the classic LAS formats: the divisor of "returns"
_IN_UNIT_RANGE = ("rgb", "nir")
_TELLING = (np.uint8, np.uint16)  # types that imply their full scale


def to_range(name: str, values: np.ndarray, file: Path) -> np.ndarray:
    """Scale raw values of the attribute ``name``: (N,) or (N, C), unsigned or float.

    Colours and near infrared are scaled to [0, 1] (see :func:`full_scale`), and so is intensity of
    unsigned 8 or 16 bit; normals to length 1 (a zero normal stays zero); return numbers are divided
    by 7. Other attributes are unchanged: a scale guessed from the values of one file would differ
    between files, and networks standardise their channels.

    Raises:
        DataError: If colours or intensities lie outside every known scale.
    """
    return scaled(name, values, scale_of(name, [values], file))


def scale_of(name: str, columns: Sequence[np.ndarray], file: Path) -> int:
    """The raw value of an attribute that means 1, from all values of a file.

    Args:
        name: The attribute.
        columns: Its values in one array, or an array for each channel.
        file: The file, for messages.

    Raises:
        DataError: If colours or intensities lie outside every known scale.
    """
    telling = np.result_type(*columns) in _TELLING
    if name in _IN_UNIT_RANGE or (name == "intensity" and telling):
        return full_scale(name, columns, file)
    return MOST_RETURNS if name == "returns" else 1


def scaled(name: str, values: np.ndarray, scale: int) -> np.ndarray:
    """Raw values divided by their scale; normals by their length."""
    divisor: int | np.ndarray = scale
    if name == "normal":
        lengths = np.linalg.norm(values.astype(np.float64), axis=-1, keepdims=True)
        divisor = np.where(lengths > 0, lengths, 1)
    with np.errstate(invalid="ignore"):  # infinities are refused elsewhere
        quotient: np.ndarray = values / divisor
    return quotient


def full_scale(name: str, columns: Sequence[np.ndarray], file: Path) -> int:
    """The raw value that means 1.

    For unsigned integers of 8 and 16 bit it follows from the type: 255 and 65535. Floats up to 1
    are already in range. Otherwise the largest value of the file decides: 255 if no value is above
    it, else 65535.

    Raises:
        DataError: If a value is negative or above 65535.
    """
    dtype = np.result_type(*columns)
    if dtype in _TELLING:
        return int(np.iinfo(dtype).max)
    if not all(values.size for values in columns):
        return 1  # refused elsewhere
    least = np.min([values.min() for values in columns])  # NaN if there is one
    most = np.max([values.max() for values in columns])
    if np.isnan(least):
        return 1  # refused elsewhere
    if least < 0 or most > 65535:
        raise DataError(
            f"{file}: values of {name!r} must lie in 0..1, 0..255 or 0..65535, got {least:.6g} to "
            f"{most:.6g}; scale them to [0, 1] or leave this attribute out of the features"
        )
    if np.issubdtype(dtype, np.floating) and most <= 1:
        return 1
    return 255 if most <= 255 else 65535
