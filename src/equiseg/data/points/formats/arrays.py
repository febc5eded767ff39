"""Reading point clouds from numpy arrays: an .npz, a folder of .npy files, or a range image."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.array_files import CURE, array_names, copy_npz, load_arrays
from equiseg.data.points.formats.cloud_checks import refuse_missing
from equiseg.data.points.formats.cloud_parts import PART, cloud_parts, joined
from equiseg.data.points.formats.label_choice import LABEL_NAMES, USUAL, choose_label
from equiseg.foreign_files import list_files
from equiseg.whole_files import rename_folder, unfinished_folder

# Possible names of an array, in lower case; the first that exists is used.
SYNONYMS = {
    "xyz": ("xyz", "coord", "coords", "points", "pos"),
    "rgb": ("rgb", "color", "colors"),
    "normal": ("normal", "normals"),
    "intensity": ("intensity", "remission", "strength"),
}
_RANGE_IMAGE = "feat"
_NEW_LABELS, _SECOND_LABELS = "labels", "prediction"
_NO_POINT = -1  # the written code of a pixel of a range image without a point


def read_arrays(
    file: Path, wanted: Sequence[str] = (), label_name: str | None = USUAL
) -> PointCloud:
    """Read all points of an .npz or a folder of .npy files at once; see :func:`array_parts`."""
    return joined(array_parts(file, wanted, label_name))


def array_parts(
    file: Path, wanted: Sequence[str] = (), label_name: str | None = USUAL, *, points: int = PART
) -> Iterator[PointCloud]:
    """Read the arrays of a point cloud, one row per point, in parts.

    Coordinates, colours, normals and intensities may have any of their :data:`SYNONYMS`
    (Pointcept's ``coord.npy color.npy normal.npy segment.npy`` among them); any other attribute is
    the array of that name. Colours and intensities of 8 or 16 bit and floats up to 255 or 65535 are
    scaled to [0, 1], see :func:`~equiseg.data.points.formats.label_values.full_scale`.

    An .npz with ``feat`` (H, W, 4 or 5) and no coordinates is a range image of a rotating lidar:
    x, y, z, ``intensity`` and ``range``. Its points are the pixels with a range above 0 (without a
    fifth channel: a distance from the origin above 0); ``label`` is (H, W).

    Args:
        file: An .npz file (its arrays are read into memory), or a folder of .npy files (mapped from
            disk). Pickled objects are never loaded.
        wanted: Names of the attributes to read.
        label_name: The array with the class codes, see
            :func:`~equiseg.data.points.formats.label_choice.choose_label`.
        points: Largest number of points in a part.

    Yields:
        The points in the order of the arrays.

    Raises:
        DataError: If the file cannot be read, has no coordinates or no points, lacks a wanted
            attribute, or contains invalid values.
    """
    names = array_names(file)
    label = choose_label(names.values(), label_name, file)
    if _is_range_image(names):
        image = load_arrays(file, {_RANGE_IMAGE: names[_RANGE_IMAGE]})[_RANGE_IMAGE]
        arrays = _range_points(image, file)
        attributes = list(arrays)[1:]
        if label is not None:
            arrays["labels"] = _pixel_labels(file, label, image)[_has_point(image)]
        refuse_missing(wanted, attributes, file)
    else:
        arrays = load_arrays(file, _places(names, label, wanted, file))
    yield from cloud_parts(
        file,
        [arrays["xyz"]],
        {name: [arrays[name]] for name in wanted},
        arrays["labels"] if label is not None else None,
        points,
    )


def write_arrays(source: Path, target: Path, codes_N: np.ndarray) -> None:
    """Copy an .npz or a folder of .npy files with other labels; no other array changes.

    The labels are the array with a usual name of labels, in its shape; without one ``labels``,
    with several ``prediction``. Pixels of a range image without a point keep their label, or get
    -1.

    Args:
        source: The file or folder to copy.
        target: The file or folder to write; the source's own kind.
        codes_N: (N,) class codes in the order of the points.

    Raises:
        DataError: If the source cannot be read.
    """
    names = array_names(source)
    found = [name for key, name in names.items() if key in LABEL_NAMES]
    label = found[0] if len(found) == 1 else _SECOND_LABELS if found else _NEW_LABELS
    codes = _as_stored(source, names, label, codes_N)
    if source.is_dir():
        with unfinished_folder(target.parent, target.name) as folder:
            for file in list_files(source):
                shutil.copyfile(file, folder / file.name)
            np.save(folder / f"{label}.npy", codes)
            rename_folder(folder, target)
        return
    copy_npz(source, target, label, codes)


def _places(
    names: Mapping[str, str], label: str | None, wanted: Sequence[str], file: Path
) -> dict[str, str]:
    """The arrays to load: their names in the file by their role."""
    roles = {
        role: next(names[name] for name in synonyms if name in names)
        for role, synonyms in SYNONYMS.items()
        if set(synonyms) & set(names)
    }
    if "xyz" not in roles:
        raise DataError(
            f"{file}: has no coordinates under any of the names {SYNONYMS['xyz']}, only "
            f"{list(names)}{CURE}"
        )
    used = {*roles.values(), label}
    roles = {name: name for name in names.values() if name not in used} | roles
    refuse_missing(wanted, [role for role in roles if role != "xyz"], file)
    places = {role: roles[role] for role in ("xyz", *wanted)}
    return places if label is None else places | {"labels": label}


def _is_range_image(names: Mapping[str, str]) -> bool:
    return _RANGE_IMAGE in names and not set(names) & set(SYNONYMS["xyz"])


def _has_point(image_HWC: np.ndarray) -> np.ndarray:
    """Pixels of a range image with a point, (H, W) bool."""
    if image_HWC.shape[2] == 5:
        range_HW = image_HWC[..., 4]
    else:
        range_HW = np.linalg.norm(image_HWC[..., :3], axis=-1)
    with_point_HW: np.ndarray = ~(range_HW <= 0)  # NaN is an error and is reported later
    return with_point_HW


def _range_points(image_HWC: np.ndarray, file: Path) -> dict[str, np.ndarray]:
    """Coordinates, intensity and range of the points of a range image."""
    if image_HWC.ndim != 3 or image_HWC.shape[2] not in (4, 5):
        raise DataError(
            f"{file}: a range image must be of shape (H, W, 4 or 5), got {image_HWC.shape}{CURE}"
        )
    points_NC = image_HWC[_has_point(image_HWC)]
    xyz_N3 = points_NC[:, :3]
    fifth = points_NC.shape[1] == 5
    range_N = points_NC[:, 4] if fifth else np.linalg.norm(xyz_N3, axis=-1)
    return {"xyz": xyz_N3, "intensity": points_NC[:, 3], "range": range_N}


def _pixel_labels(file: Path, label: str, image_HWC: np.ndarray) -> np.ndarray:
    labels_HW = load_arrays(file, {label: label})[label]
    if labels_HW.shape != image_HWC.shape[:2]:
        raise DataError(
            f"{file}: range image of {image_HWC.shape[:2]} pixels, but labels of shape "
            f"{labels_HW.shape}; there must be one label per pixel{CURE}"
        )
    return labels_HW


def _as_stored(
    source: Path, names: Mapping[str, str], label: str, codes_N: np.ndarray
) -> np.ndarray:
    """The codes in the shape and, where they fit, the type of the labels of the source."""
    there = load_arrays(source, {label: label})[label] if label in names.values() else None
    dtype = np.dtype(np.int32 if there is None else there.dtype)
    if _is_range_image(names):
        image = load_arrays(source, {_RANGE_IMAGE: names[_RANGE_IMAGE]})[_RANGE_IMAGE]
        with_point_HW = _has_point(image)
        codes = np.full(with_point_HW.shape, _NO_POINT, np.int64)
        if there is not None:
            codes[:] = _pixel_labels(source, label, image)
        codes[with_point_HW] = codes_N
    else:
        same = there is not None and math.prod(there.shape) == len(codes_N)
        codes = codes_N.reshape(there.shape) if there is not None and same else codes_N
    stored = codes.astype(dtype)
    return stored if (stored == codes).all() else codes.astype(np.int64)
