"""Building the files of a ScanStore: the scan is read once, then sorted by block on disk.

The file is read in parts into a spool file next to the store. From the memory-mapped spool, points
are written to their places. Only one part is in memory, so the size of a scan is not limited.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from equiseg.data.errors import DataError
from equiseg.data.point_card import PointCard
from equiseg.data.points.cloud import CHANNELS, PointCloud
from equiseg.data.points.formats import scans as scan_files

if TYPE_CHECKING:
    from equiseg.data.points.store.ground import Ground

_PART = 1_000_000  # points handled at a time
_SHOWN = 20  # codes in a message
_COARSEST = 0.01  # m: coarsest resolution of the float32 coordinates of a store


class Blocks(NamedTuple):
    """The blocks of a store.

    Attributes:
        origin_3: (3,) float64, whole meters.
        index_B2: (B, 2) int64 column and row of every block.
        starts: (B + 1,) int64, the first row of every block and the end.
        bounds_B22: (B, 2, 2) float32: smallest and largest (x, y) of the points.
        counts_BK: (B, K) int64 points of each class.
    """

    origin_3: np.ndarray
    index_B2: np.ndarray
    starts: np.ndarray
    bounds_B22: np.ndarray
    counts_BK: np.ndarray


def build(card: PointCard, scan: scan_files.Scan, folder: Path, *, labels: bool) -> None:
    """Write the files of a store into an empty folder.

    The files are xyz.npy, features.npy, order.npy, labels.npy (if there are labels) and blocks.npz
    (:class:`Blocks`).

    Args:
        card: The card that says how to read and cut the scan.
        scan: The scan to read.
        folder: An empty folder for the files.
        labels: Whether to store labels, if the file has any.

    Raises:
        DataError: If the scan cannot be used.
        OSError: If the folder cannot be written.
    """
    spool_file = folder / "spool"
    spool = _spooled(card, scan, spool_file, labels)
    _refuse_wide(spool.upper_3 - np.floor(spool.lower_3), scan)
    grid = _Grid(spool.lower_3, spool.upper_3, card.block)
    ground = _new_ground(spool, grid) if "height" in card.features else None
    keys_B, starts = _first_look(spool, grid, ground)
    arrays = _arrays(card, spool, folder)
    heights = None if ground is None else (_column_of_height(card), ground)
    _fill(arrays, spool, grid, heights, keys_B, starts)
    blocks = _summary(arrays, grid, keys_B, starts, len(card.class_names()))
    np.savez(folder / "blocks.npz", **blocks._asdict())
    for array in arrays.values():
        array.flush()
    del spool  # some systems cannot delete a mapped file
    spool_file.unlink()


class _Spool(NamedTuple):
    """A scan as records on disk, with its bounds.

    Attributes:
        points: (N,) memory-mapped records of xyz, features and label.
        lower_3: (3,) float64 smallest coordinates.
        upper_3: (3,) float64 largest coordinates.
        labelled: Whether there are labels.
    """

    points: np.ndarray
    lower_3: np.ndarray
    upper_3: np.ndarray
    labelled: bool

    def parts(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield parts: the number of their first point, and their records."""
        for begin in range(0, len(self.points), _PART):
            yield begin, self.points[begin : begin + _PART]


class _Grid:
    """Square blocks from the origin; the last block along an axis is never a narrow strip.

    The number of blocks along each axis is rounded, so the last block is 0.5 to 1.5 blocks wide.
    (Tiles often have points exactly on their far edge.)
    """

    def __init__(self, lower_3: np.ndarray, upper_3: np.ndarray, block: float | None) -> None:
        self.origin_3 = np.floor(lower_3)
        self._block = block
        if block is not None:
            fitting_2 = np.floor((upper_3 - self.origin_3)[:2] / block + 0.5).astype(np.int64)
            self._last_2 = np.maximum(fitting_2, 1) - 1

    def placed(self, xyz_N3: np.ndarray) -> np.ndarray:
        """Coordinates in the store: float32 from the origin."""
        placed_N3: np.ndarray = (xyz_N3 - self.origin_3).astype(np.float32)
        return placed_N3

    def keys(self, xyz_N3: np.ndarray) -> np.ndarray:
        """Block number of each placed point; sorted by column, then row."""
        if self._block is None:
            return np.zeros(len(xyz_N3), dtype=np.int64)
        index_N2 = np.floor(xyz_N3[:, :2].astype(np.float64) / self._block).astype(np.int64)
        index_N2 = index_N2.clip(0, self._last_2)
        keys_N: np.ndarray = index_N2[:, 0] * (self._last_2[1] + 1) + index_N2[:, 1]
        return keys_N

    def indices(self, keys_B: np.ndarray) -> np.ndarray:
        """Column and row of each key, (B, 2)."""
        rows = 1 if self._block is None else self._last_2[1] + 1
        return np.stack(np.divmod(keys_B, rows), axis=1)


def _spooled(card: PointCard, scan: scan_files.Scan, file: Path, labels: bool) -> _Spool:
    """Read the scan into the spool file."""
    channels = len(scan_files.channel_names(card.features))
    record = np.dtype([("xyz", "<f8", 3), ("features", "<f4", (channels,)), ("label", "<i8")])
    wanted = [name for name in card.features if name not in scan_files.COMPUTED]
    ids_by_code = card.ids_by_value()
    unknown: Counter[int] = Counter()
    lower_3, upper_3 = np.full(3, np.inf), np.full(3, -np.inf)
    labelled = labels
    with file.open("wb") as stream:
        for cloud in scan_files.chunks(card, scan, wanted, labels=labels):
            part = np.empty(len(cloud), record)
            part["xyz"] = cloud.xyz_N3
            part["features"] = _features(card, cloud, scan)
            if cloud.codes_N is None:
                labelled = False
            elif labels:
                part["label"] = _ids(cloud, ids_by_code, card.ignore_index, unknown)
            lower_3 = np.minimum(lower_3, cloud.xyz_N3.min(axis=0))
            upper_3 = np.maximum(upper_3, cloud.xyz_N3.max(axis=0))
            stream.write(part.data)
    if unknown and not card.ignore_others:
        most = sorted(unknown.items())[:_SHOWN]
        listed = ", ".join(f"{code} ({count} points)" for code, count in most)
        listed += f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise DataError(
            f"{scan.path}: codes {listed} are neither classes nor ignored in card {card.name}; add "
            "them to classes or ignore_values, or set ignore_others: true"
        )
    return _Spool(np.memmap(file, record, mode="r"), lower_3, upper_3, labelled)


def _features(card: PointCard, cloud: PointCloud, scan: scan_files.Scan) -> np.ndarray:
    """The channels of the file, (N, C); channels computed later are 1 until then."""
    columns = []
    for name in card.features:
        channels = CHANNELS.get(name, 1)
        values_NC = cloud.attributes.get(name, np.ones((len(cloud), 1), np.float32))
        if values_NC.shape[1] != channels:
            raise DataError(
                f"{scan.path}: feature {name!r} must have {channels} channel(s), got "
                f"{values_NC.shape[1]}; leave it out of the card's features or split it"
            )
        columns.append(values_NC)
    return np.concatenate(columns or [np.ones((len(cloud), 1), np.float32)], axis=1)


def _ids(
    cloud: PointCloud, ids_by_code: dict[int, int], ignore_index: int, unknown: Counter[int]
) -> np.ndarray:
    """Class ids; withheld points are ignored; codes not in the card are ignored and counted."""
    assert cloud.codes_N is not None
    if cloud.withheld_N is not None and cloud.withheld_N.any():
        ids_N = np.full(len(cloud), ignore_index, np.int64)
        kept_N = ~cloud.withheld_N
        if kept_N.any():
            kept = PointCloud(cloud.xyz_N3[kept_N], codes_N=cloud.codes_N[kept_N])
            ids_N[kept_N] = _ids(kept, ids_by_code, ignore_index, unknown)
        return ids_N
    codes, inverse_N, counts = np.unique(cloud.codes_N, return_inverse=True, return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        if code not in ids_by_code:
            unknown[code] += count
    ids = np.array([ids_by_code.get(code, ignore_index) for code in codes.tolist()], np.int64)
    known_N: np.ndarray = ids[inverse_N]
    return known_N


def _new_ground(spool: _Spool, grid: _Grid) -> Ground:
    from equiseg.data.points.store.ground import Ground  # only the ground needs scipy

    lower_2, upper_2 = ((xyz - grid.origin_3)[:2] for xyz in (spool.lower_3, spool.upper_3))
    return Ground(lower_2, upper_2, len(spool.points))


def _column_of_height(card: PointCard) -> int:
    return (
        scan_files.channel_names(card.features).index("height") if "height" in card.features else -1
    )


def _first_look(spool: _Spool, grid: _Grid, ground: Ground | None) -> tuple[np.ndarray, np.ndarray]:
    """Keys and starts of the blocks with points; all points are added to the ground."""
    sizes: Counter[int] = Counter()
    for _, part in spool.parts():
        xyz_N3 = grid.placed(part["xyz"])
        keys, counts = np.unique(grid.keys(xyz_N3), return_counts=True)
        sizes.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
        if ground is not None:
            ground.add(xyz_N3)
    keys_B = np.array(sorted(sizes))
    return keys_B, np.cumsum([0, *(sizes[key] for key in keys_B.tolist())])


def _arrays(card: PointCard, spool: _Spool, folder: Path) -> dict[str, np.memmap]:
    """The arrays of the store, memory-mapped and empty."""
    num_points, channels = len(spool.points), spool.points.dtype["features"].shape
    kinds: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
        "xyz": ((3,), np.float32),
        "features": (channels, np.float32),
        "order": ((), np.int64),
    }
    if spool.labelled:
        small = len(card.class_names()) <= 255 and 0 <= card.ignore_index <= 255
        kinds["labels"] = ((), np.uint8 if small else np.int64)
    size = sum(
        num_points * math.prod(row) * np.dtype(kind).itemsize for row, kind in kinds.values()
    )
    if (free := shutil.disk_usage(folder).free) < size:
        # Writing to a map on a full disk would kill the process.
        raise OSError(f"{size / 1e9:.2g} GB needed, {free / 1e9:.2g} GB free")
    return {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=kind, shape=(num_points, *row)
        )
        for name, (row, kind) in kinds.items()
    }


def _fill(
    arrays: dict[str, np.memmap],
    spool: _Spool,
    grid: _Grid,
    heights: tuple[int, Ground] | None,
    keys_B: np.ndarray,
    starts: np.ndarray,
) -> None:
    """Write the points to their blocks, in the order of the file within each block."""
    ends_B = starts[:-1].copy()  # of the points written so far to each block
    for begin, part in spool.parts():
        xyz_N3 = grid.placed(part["xyz"])
        block_N = np.searchsorted(keys_B, grid.keys(xyz_N3))
        sort_N = np.argsort(block_N, kind="stable")
        added_B = np.bincount(block_N, minlength=len(keys_B))
        before_B = np.cumsum(added_B) - added_B
        rows_N = (ends_B - before_B)[block_N[sort_N]] + np.arange(len(part))
        ends_B += added_B
        features_NC = part["features"].copy()
        if heights is not None:
            column, ground = heights
            features_NC[:, column] = ground.heights(xyz_N3)
        arrays["xyz"][rows_N] = xyz_N3[sort_N]
        arrays["features"][rows_N] = features_NC[sort_N]
        arrays["order"][rows_N] = begin + sort_N
        if spool.labelled:
            arrays["labels"][rows_N] = part["label"][sort_N]


def _summary(
    arrays: dict[str, np.memmap],
    grid: _Grid,
    keys_B: np.ndarray,
    starts: np.ndarray,
    num_classes: int,
) -> Blocks:
    bounds_B22 = np.empty((len(keys_B), 2, 2), np.float32)
    counts_BK = np.zeros((len(keys_B), num_classes), np.int64)
    for b, rows in enumerate(map(slice, starts[:-1], starts[1:])):
        xy_N2 = arrays["xyz"][rows, :2]
        bounds_B22[b] = xy_N2.min(axis=0), xy_N2.max(axis=0)
        if "labels" in arrays:
            labels_N = np.asarray(arrays["labels"][rows])
            known_N = labels_N[(labels_N >= 0) & (labels_N < num_classes)]
            counts_BK[b] = np.bincount(known_N, minlength=num_classes)
    return Blocks(grid.origin_3, grid.indices(keys_B), starts, bounds_B22, counts_BK)


def _refuse_wide(extent_3: np.ndarray, scan: scan_files.Scan) -> None:
    with np.errstate(over="ignore"):
        step = float(np.spacing(np.float32(extent_3.max())))
    if not step <= _COARSEST:  # infinite coordinates give NaN
        raise DataError(
            f"{scan.path}: points lie up to {extent_3.max():.3g} m apart, where float32 resolves "
            f"only {step:.2g} m; remove stray points, or cut the scan into tiles"
        )
