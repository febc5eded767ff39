"""SemanticKITTI: scans of a rotating lidar on a car, in the official layout.

Behley et al., "SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences",
ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.points.cloud import PointCloud
from equiseg.data.points.formats.cloud_checks import checked, refuse_missing
from equiseg.foreign_files import check_file, check_memory, is_hidden

SEQUENCES = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "val": ("08",),
    "test": ("11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21"),
}

# The raw ids of each class of the benchmark's single-scan task, in which moving and static objects
# share a class. All other ids (0, 1, 52, 99) are ignored.
_RAW_IDS = {
    "car": (10, 252),
    "bicycle": (11,),
    "motorcycle": (15,),
    "truck": (18, 258),
    "other-vehicle": (13, 16, 20, 256, 257, 259),
    "person": (30, 254),
    "bicyclist": (31, 253),
    "motorcyclist": (32, 255),
    "road": (40, 60),
    "parking": (44,),
    "sidewalk": (48,),
    "other-ground": (49,),
    "building": (50,),
    "fence": (51,),
    "vegetation": (70,),
    "trunk": (71,),
    "terrain": (72,),
    "pole": (80,),
    "traffic-sign": (81,),
}
CLASSES = tuple(_RAW_IDS)
IGNORED_IDS = (0, 1, 52, 99)
LEARNING_MAP = {raw: k for k, ids in enumerate(_RAW_IDS.values()) for raw in ids}


def find_scans(root: Path, split: str) -> list[Path]:
    """The scans of a split, in the order of sequences and numbers.

    Args:
        root: The folder that holds ``sequences/NN/velodyne/NNNNNN.bin``, or its parent with the
            folder ``dataset``. Missing sequences are skipped.
        split: "train" (sequences 00-07, 09, 10), "val" (08) or "test" (11-21).

    Raises:
        DataError: If there is no such split, or it has no scans.
    """
    if split not in SEQUENCES:
        raise DataError(f"SemanticKITTI has no split {split!r}, only {list(SEQUENCES)}")
    places = [root / "sequences", root / "dataset" / "sequences"]
    folder = next((place for place in places if place.is_dir()), places[0])
    scans = [
        scan
        for name in SEQUENCES[split]
        for scan in sorted(folder.glob(f"{name}/velodyne/*.bin"))
        if not is_hidden(scan)
    ]
    if not scans:
        raise DataError(
            f"{folder}: no scans NN/velodyne/NNNNNN.bin of split {split!r}, sequences "
            f"{', '.join(SEQUENCES[split])}; is this the folder of the unpacked downloads?"
        )
    return scans


def read_scan(file: Path, wanted: Sequence[str] = ()) -> PointCloud:
    """Read a scan, and its labels if they exist.

    Args:
        file: ``velodyne/NNNNNN.bin``, four float32 per point: x, y, z, remission. Its labels are
            ``../labels/NNNNNN.label``, one uint32 per point; the class is in the lower 16 bits.
        wanted: Names of the attributes to read; the only one is "intensity", the remission in [0,
            1].

    Returns:
        The points; codes are raw ids (see :data:`LEARNING_MAP`).

    Raises:
        DataError: If a file is truncated, there are no points, a value is NaN, a remission is not
            in [0, 1] (files of five columns, as of nuScenes, are refused by this), the number of
            labels is wrong, or another attribute is wanted.
    """
    refuse_missing(wanted, ["intensity"], file)
    points_N4 = _numbers(file, "<f4", 4).reshape(-1, 4)
    _refuse_other_columns(points_N4[:, 3], file)
    label_file = file.parent.parent / "labels" / f"{file.stem}.label"
    codes_N = _numbers(label_file, "<u4", 1) & 0xFFFF if label_file.exists() else None
    attributes = dict.fromkeys(wanted, points_N4[:, 3])
    return checked(PointCloud(points_N4[:, :3], attributes, codes_N), file, np.float32)


def _refuse_other_columns(remission_N: np.ndarray, file: Path) -> None:
    """Refuse files of five columns, recognised by their remissions, as files have no header."""
    if remission_N.size and not (remission_N.min() >= 0 and remission_N.max() <= 1):
        raise DataError(
            f"{file}: remissions must be in [0, 1], got {remission_N.min():.6g} to "
            f"{remission_N.max():.6g}; points of five numbers (nuScenes) and other scales must be "
            "converted to x, y, z, remission first"
        )


def _numbers(file: Path, dtype: str, each: int) -> np.ndarray:
    with as_data_errors():
        length = check_file(file)
        check_memory(file, f"a scan of {length} bytes", 4 * length)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    size = each * np.dtype(dtype).itemsize
    if len(content) % size:
        raise DataError(
            f"{file}: {len(content)} bytes are no whole number of points, {size} bytes each; "
            "fetch it again, or leave the scan out of the split"
        )
    return np.frombuffer(content, dtype)
