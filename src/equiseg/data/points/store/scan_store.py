"""ScanStore: a scan stored on disk, sorted by block, so that its file is read only once."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from equiseg.data.cache_root import cache_root
from equiseg.data.errors import DataError
from equiseg.data.point_card import PointCard
from equiseg.data.points.formats import scans as scan_files
from equiseg.data.points.sample import PointSample
from equiseg.data.points.store import building
from equiseg.whole_files import rename_folder, sweep_folders, unfinished_folder

BLOCKS = "blocks.npz"  # of the files of a store the one that is written last
_FORMAT = 2  # version of the files of a store; increase it when their meaning changes


class CacheError(DataError):
    """The cache folder cannot be used; the scan itself is fine."""


def cache_folder() -> Path:
    """Folder of the stores: ``$EQUISEG_CACHE/points``, or ``~/.cache/equiseg/points``."""
    return cache_root() / "points"


@dataclass(frozen=True, eq=False)
class ScanStore:
    """A scan whose points are read from disk, block by block; create one with :meth:`open`.

    Arrays over the N points are memory-mapped at each access: thousands of stores need no memory,
    and a store is sent to a worker process by its path.

    Attributes:
        name: Name of the scan.
        folder: Folder of its files.
        blocks: Positions, bounds and class counts of the B blocks.
    """

    name: str
    folder: Path
    blocks: building.Blocks

    @classmethod
    def open(
        cls, card: PointCard, scan: scan_files.Scan, folder: Path, *, labels: bool = True
    ) -> ScanStore:
        """Open the store of a scan, and build it first if there is none.

        A store belongs to a state of the scan's files (size and time of change) and to the fields
        of the card that it depends on; when any of them changes, a new store is built next to it. A
        store is built in a hidden folder and renamed when complete, so an incomplete one is never
        used. If several processes want the same store, one builds it and the others wait. What a
        killed process leaves is removed when the next store is built. The folder may be deleted
        while no process uses it.

        Args:
            card: The card that says how to read the scan, with its classes and ``block``.
            scan: The scan to open.
            folder: Folder of the stores, such as :func:`cache_folder`.
            labels: Whether to read labels; False for predicting scans whose codes have no meaning.

        Raises:
            DataError: If the scan cannot be used; a CacheError if the folder cannot be used.
        """
        target = _target(card, scan, folder, labels)
        store = cls._load(scan.name, target)
        if store is not None:
            return store
        try:
            _make(card, scan, target, labels=labels)
        except OSError as error:
            raise CacheError(
                f"{folder}: cannot store {scan.name} there ({error}); set the environment variable "
                "EQUISEG_CACHE to a folder that can be written and has room"
            ) from error
        store = cls._load(scan.name, target)
        if store is None:
            raise CacheError(
                f"{target}: written, but cannot be read again; set the environment variable "
                "EQUISEG_CACHE to a folder on another disk"
            )
        return store

    @classmethod
    def find(cls, card: PointCard, scan: scan_files.Scan, folder: Path) -> ScanStore | None:
        """The store of a scan with its labels, if there is one that :meth:`open` need not build.

        Args:
            card: As for :meth:`open`.
            scan: The scan.
            folder: Folder of the stores.
        """
        try:
            return cls._load(scan.name, _target(card, scan, folder, labels=True))
        except DataError:  # its files cannot be read; open says why
            return None

    @classmethod
    def _load(cls, name: str, folder: Path) -> ScanStore | None:
        """The store in a folder; None if there is none, or it is incomplete."""
        try:
            with np.load(folder / BLOCKS, allow_pickle=False) as arrays:
                store = cls(name, folder, building.Blocks(**arrays))
            arrays_N = store.xyz_N3, store.features_NC, store.order_N, store.labels_N
        except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile):
            return None
        sizes = {len(array) for array in arrays_N if array is not None}
        return store if sizes == {len(store)} else None

    def __len__(self) -> int:
        """Number of points N."""
        return int(self.blocks.starts[-1])

    @property
    def num_blocks(self) -> int:
        """Number of blocks B that hold points."""
        return len(self.blocks.starts) - 1

    @property
    def origin_3(self) -> np.ndarray:
        """(3,) float64 to add to :attr:`xyz_N3` for the coordinates of the file."""
        return self.blocks.origin_3

    @property
    def xyz_N3(self) -> np.ndarray:
        """(N, 3) float32 meters from the origin."""
        return self._mapped("xyz")

    @property
    def features_NC(self) -> np.ndarray:
        """(N, C) float32 features, with the channels of :func:`scan_files.channel_names`."""
        return self._mapped("features")

    @property
    def labels_N(self) -> np.ndarray | None:
        """(N,) uint8 or int64 class ids; None without labels."""
        return self._mapped("labels") if (self.folder / "labels.npy").exists() else None

    @property
    def order_N(self) -> np.ndarray:
        """(N,) int64: the number in the file of the point in each row."""
        return self._mapped("order")

    def block_rows(self, block: int) -> np.ndarray:
        """Rows of the block of this number."""
        return np.arange(self.blocks.starts[block], self.blocks.starts[block + 1])

    def rows(self, lower_2: np.ndarray, upper_2: np.ndarray) -> np.ndarray:
        """Rows with lower <= (x, y) < upper, ascending; only blocks in this range are read.

        Args:
            lower_2: (2,) x and y in meters from the origin.
            upper_2: (2,).
        """
        least_B2, most_B2 = self.blocks.bounds_B22.astype(np.float64).transpose(1, 0, 2)
        touching_B = ((most_B2 >= lower_2) & (least_B2 < upper_2)).all(axis=1)
        xyz_N3 = self.xyz_N3
        found = [np.empty(0, np.int64)]
        for block in np.flatnonzero(touching_B).tolist():
            rows = self.block_rows(block)
            xy_n2 = xyz_N3[rows[0] : rows[-1] + 1, :2].astype(np.float64)
            found.append(rows[((xy_n2 >= lower_2) & (xy_n2 < upper_2)).all(axis=1)])
        return np.concatenate(found)

    def around(self, block: int, margin: float) -> np.ndarray:
        """Rows of a block and of all points within a margin around its points, ascending.

        Args:
            block: Number of the block.
            margin: Width in meters, along x and y separately, so that the margin is a rectangular
                frame.
        """
        if margin == 0:
            return self.block_rows(block)
        lower_2, upper_2 = self.blocks.bounds_B22[block].astype(np.float64)
        return self.rows(lower_2 - margin, upper_2 + margin)

    def windows(
        self, block: float | None, margin: float = 0.0, shift_2: tuple[float, float] = (0.0, 0.0)
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Cut the scan into squares for prediction, independent of its stored blocks.

        Args:
            block: Side of a square in meters; None gives one window with all points.
            margin: Width of the context around a square, in meters.
            shift_2: Offset of the grid in meters; windows of shifted grids give every point several
                votes.

        Yields:
            Rows of the square (every row is in exactly one square), and rows of the square with its
            context; both ascending.

        Raises:
            ValueError: If the block is not above 0 m, or the margin is below 0 m.
        """
        if (block is not None and not block > 0) or margin < 0:
            raise ValueError(
                f"block must be above 0 m or None and margin 0 m or more, got {block} and {margin}"
            )
        if block is None:
            yield np.arange(len(self)), np.arange(len(self))
            return
        shift = np.asarray(shift_2, np.float64)
        # One more on either side, because a quotient may be rounded across a whole number.
        first_B2, last_B2 = (
            np.floor((bound_B2.astype(np.float64) - shift) / block).astype(int) + more
            for bound_B2, more in zip(
                self.blocks.bounds_B22.transpose(1, 0, 2), (-1, 1), strict=True
            )
        )
        cells = {
            cell
            for first, last in zip(first_B2, last_B2, strict=True)
            for cell in product(*(range(a, b + 1) for a, b in zip(first, last, strict=True)))
        }
        for cell in sorted(cells):
            lower_2 = np.array(cell) * block + shift
            upper_2 = (np.array(cell) + 1) * block + shift
            core = self.rows(lower_2, upper_2)
            if len(core):
                yield core, self.rows(lower_2 - margin, upper_2 + margin) if margin else core

    def sample(
        self, core: np.ndarray, rows: np.ndarray, ignore_index: int, name: str
    ) -> PointSample:
        """Points as a sample for a network.

        Args:
            core: Rows with labels, ascending.
            rows: All rows of the sample, ascending, including the core.
            ignore_index: Label of the other rows, and of all rows if the scan has no labels.
            name: Name of the sample.

        Returns:
            The points in the order of ``rows``; x and y relative to their smallest values, z
            relative to the origin of the scan.
        """
        xyz_N3 = np.asarray(self.xyz_N3[rows])
        xyz_N3[:, :2] -= xyz_N3[:, :2].min(axis=0)
        labels = self.labels_N
        small = labels is None and 0 <= ignore_index <= 255
        dtype = labels.dtype if labels is not None else np.uint8 if small else np.int64
        labels_N = np.full(len(rows), ignore_index, dtype)
        if labels is not None:
            labels_N[np.searchsorted(rows, core)] = labels[core]
        features_NC = np.asarray(self.features_NC[rows])
        return PointSample(
            torch.from_numpy(xyz_N3),
            torch.from_numpy(features_NC),
            torch.from_numpy(labels_N),
            name,
        )

    def _mapped(self, name: str) -> np.ndarray:
        array: np.ndarray = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return array


def _make(card: PointCard, scan: scan_files.Scan, target: Path, *, labels: bool) -> None:
    """Build a store if there is none or it is damaged."""
    sweep_folders(target.parent)
    with unfinished_folder(target.parent, target.name) as unfinished:
        if target.exists() and ScanStore._load(scan.name, target) is not None:
            return  # another process was faster
        building.build(card, scan, unfinished, labels=labels)
        rename_folder(unfinished, target)


def _target(card: PointCard, scan: scan_files.Scan, folder: Path, labels: bool) -> Path:
    """The folder of the store of a scan."""
    return folder / f"{scan.name[:80]}-{_fingerprint(card, scan, labels)}"


def _fingerprint(card: PointCard, scan: scan_files.Scan, labels: bool) -> str:
    """A digest of everything that a store depends on."""
    try:
        states = [(file, file.stat()) for file in scan_files.source_files(card, scan)]
    except OSError as error:
        raise DataError(f"{scan.path}: cannot be read ({error})") from error
    depends_on = {
        "format": _FORMAT,
        "scan": str(scan.path.absolute()),
        "files": [(str(f.absolute()), state.st_size, state.st_mtime_ns) for f, state in states],
        "form": card.form,
        "features": list(card.features),
        "block": card.block,
        "ids": [*sorted(card.ids_by_value().items()), card.ignore_index, card.ignore_others],
        "labels": labels,
        "label_name": card.label_name,
    }
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:20]
