"""Reading point clouds from numpy arrays: an .npz, a folder of .npy files, or a range image."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.data.points.formats.label_values import to_range
from equiseg.data.points.formats.table import FORMATS

# Possible names of an array, in lower case; the first that exists is used.
SYNONYMS = {
    "xyz": ("xyz", "coord", "coords", "points", "pos"),
    "rgb": ("rgb", "color", "colors"),
    "normal": ("normal", "normals"),
    "intensity": ("intensity", "remission", "strength"),
    "labels": FORMATS["arrays"].label_names,
}
_RANGE_IMAGE = "feat"
_CURE = "; save it again, or leave it out of the split"
# Exceptions of numpy for files that are broken or contain pickled objects.
_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def read_arrays(file: Path, wanted: Sequence[str] = ()) -> PointCloud:
    """Read the arrays of a point cloud, one row per point.

    Coordinates, colours, normals, intensities and labels may have any of their :data:`SYNONYMS`
    (Pointcept's ``coord.npy color.npy normal.npy segment.npy`` among them); any other attribute is
    the array of that name. Colours and intensities of 8 or 16 bit and floats up to 255 or 65535 are
    scaled to [0, 1], see :func:`~equiseg.data.points.formats.label_values.full_scale`.

    An .npz with ``feat`` (H, W, 4 or 5) and no coordinates is a range image of a rotating lidar:
    x, y, z, ``intensity`` and ``range``. Its points are the pixels with a range above 0 (without a
    fifth channel: a distance from the origin above 0); ``label`` is (H, W).

    Args:
        file: An .npz file, or a folder of .npy files. Pickled objects are never loaded.
        wanted: Names of the attributes to read.

    Raises:
        DataError: If the file cannot be read, has no coordinates or no points, lacks a wanted
            attribute, or contains invalid values.
    """
    names = _names(file)
    if _RANGE_IMAGE in names and not set(names) & set(SYNONYMS["xyz"]):
        return _from_range_image(_load(file, {n: names[n] for n in names}), wanted, file)
    roles = {
        role: next((names[name] for name in synonyms if name in names), None)
        for role, synonyms in SYNONYMS.items()
    }
    if roles["xyz"] is None:
        raise DataError(
            f"{file}: has no coordinates under any of the names {SYNONYMS['xyz']}, only "
            f"{list(names)}{_CURE}"
        )
    found = {role: name for role, name in roles.items() if name is not None}
    others = {name: name for name in names.values() if name not in found.values()}
    return _cloud(_load(file, _needed(others | found, wanted, file)), wanted, file)


def _needed(places: Mapping[str, str], wanted: Sequence[str], file: Path) -> dict[str, str]:
    """The arrays to load, by their names in the file."""
    refuse_missing(wanted, [role for role in places if role not in ("xyz", "labels")], file)
    return {role: places[role] for role in ("xyz", "labels", *wanted) if role in places}


def _cloud(arrays: Mapping[str, np.ndarray], wanted: Sequence[str], file: Path) -> PointCloud:
    codes = arrays.get("labels")
    if codes is not None and codes.ndim == 2 and codes.shape[1] == 1:
        codes = codes[:, 0]
    attributes = {name: to_range(name, arrays[name], file) for name in wanted}
    return checked(PointCloud(arrays["xyz"], attributes, codes), file, arrays["xyz"].dtype)


def _from_range_image(
    arrays: Mapping[str, np.ndarray], wanted: Sequence[str], file: Path
) -> PointCloud:
    image_HWC = arrays[_RANGE_IMAGE]
    if image_HWC.ndim != 3 or image_HWC.shape[2] not in (4, 5):
        raise DataError(
            f"{file}: a range image must be of shape (H, W, 4 or 5), got {image_HWC.shape}{_CURE}"
        )
    labels = next((arrays[name] for name in SYNONYMS["labels"] if name in arrays), None)
    if labels is not None and labels.shape != image_HWC.shape[:2]:
        raise DataError(
            f"{file}: range image of {image_HWC.shape[:2]} pixels, but labels of shape "
            f"{labels.shape}; there must be one label per pixel{_CURE}"
        )
    if image_HWC.shape[2] == 5:
        range_HW = image_HWC[..., 4]
    else:
        range_HW = np.linalg.norm(image_HWC[..., :3], axis=-1)
    valid_HW = ~(range_HW <= 0)  # NaN is an error and is reported below
    points = {
        "xyz": image_HWC[valid_HW][:, :3],
        "intensity": image_HWC[valid_HW][:, 3],
        "range": range_HW[valid_HW],
    }
    refuse_missing(wanted, list(points)[1:], file)
    return _cloud(points if labels is None else points | {"labels": labels[valid_HW]}, wanted, file)


def _names(file: Path) -> dict[str, str]:
    """Stored names of the arrays, by name in lower case."""
    if file.is_dir():
        names: Iterable[str] = sorted(path.stem for path in file.glob("*.npy"))
    elif file.suffix.lower() != ".npz":
        raise DataError(f"{file}: arrays must be an .npz or a folder of .npy files{_CURE}")
    else:
        try:
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
        except _BROKEN as error:
            raise DataError(f"{file}: is not a readable .npz ({error}){_CURE}") from error
    return {name.lower(): name for name in names}


def _load(file: Path, places: Mapping[str, str]) -> dict[str, np.ndarray]:
    arrays = {}
    for role, name in places.items():
        try:
            if file.is_dir():
                values = np.load(file / f"{name}.npy", allow_pickle=False)
            else:
                with np.load(file, allow_pickle=False) as archive:
                    values = archive[name]
        except _BROKEN as error:
            raise DataError(f"{file}: array {name!r} cannot be read ({error}){_CURE}") from error
        if not (values.ndim and values.dtype.kind in "fiub"):
            raise DataError(
                f"{file}: array {name!r} must hold numbers, one row per point, got "
                f"{values.dtype} of shape {values.shape}{_CURE}"
            )
        arrays[role] = values
    return arrays
