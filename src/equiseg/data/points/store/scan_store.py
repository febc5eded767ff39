"""ScanStore: a scan on disk, read from its file once and sorted by block."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from equiseg.data.card import PointCard
from equiseg.data.errors import DataError
from equiseg.data.points.formats import scans as scan_files
from equiseg.data.points.sample import PointSample
from equiseg.data.points.store import building

_FORMAT = 1  # of the files of a store; one more with every change to what they mean


class CacheError(DataError):
    """Stores cannot be kept where they should be; it is not the scan's fault."""


def cache_folder() -> Path:
    """Where stores are kept: ``$EQUISEG_CACHE/points``, or ``~/.cache/equiseg/points``."""
    return Path(os.environ.get("EQUISEG_CACHE") or "~/.cache/equiseg").expanduser() / "points"


@dataclass(frozen=True, eq=False)
class ScanStore:
    """A scan whose points are looked up on disk, block by block. Make one by :meth:`open`.

    Arrays over the N points are mapped anew at each access, not held: thousands of stores cost no
    memory, and one goes to a worker process by its path.

    Attributes:
        name: Of the scan.
        folder: Its files.
        blocks: What is known of the B blocks.
    """

    name: str
    folder: Path
    blocks: building.Blocks

    @classmethod
    def open(
        cls, card: PointCard, scan: scan_files.Scan, folder: Path, *, labels: bool = True
    ) -> ScanStore:
        """The store of a scan: the one that is there, or a new one.

        A store is made for a state of the scan's files (size and time of change) and for all of
        the card that matters to it; when any of it changes, a new one is made next to it. It is
        built apart and renamed when complete, so that one cut short is never taken for a store,
        and processes may build at the same time. The folder may be deleted whenever nothing runs.

        Args:
            card: How to read the scan; its classes number the labels, its ``block`` cuts.
            scan: Which.
            folder: Where stores are kept, as :func:`cache_folder`.
            labels: False reads no labels: for predicting scans whose codes mean nothing.

        Raises:
            DataError: If the scan cannot be used; CacheError if the folder cannot.
        """
        target = folder / f"{scan.name[:80]}-{_fingerprint(card, scan, labels)}"
        store = cls._load(scan.name, target)
        if store is not None:
            return store
        try:
            _make(card, scan, target, labels=labels)
        except OSError as error:
            raise CacheError(
                f"{folder}: cannot keep {scan.name} there ({error}); set the environment variable "
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
    def _load(cls, name: str, folder: Path) -> ScanStore | None:
        """The store in a folder; None if there is none, or not all of it."""
        try:
            with np.load(folder / "blocks.npz", allow_pickle=False) as arrays:
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
        """(3,) float64: what to add to :attr:`xyz_N3` for the file's own coordinates."""
        return self.blocks.origin_3

    @property
    def xyz_N3(self) -> np.ndarray:
        """(N, 3) float32 meters from the origin."""
        return self._mapped("xyz")

    @property
    def features_NC(self) -> np.ndarray:
        """(N, C) float32 features, the channels as :func:`scan_files.channel_names` says."""
        return self._mapped("features")

    @property
    def labels_N(self) -> np.ndarray | None:
        """(N,) uint8 or int64 class ids; None without labels."""
        return self._mapped("labels") if (self.folder / "labels.npy").exists() else None

    @property
    def order_N(self) -> np.ndarray:
        """(N,) int64: which point of the file each row is."""
        return self._mapped("order")

    def block_rows(self, block: int) -> np.ndarray:
        """Rows of the block of this number."""
        return np.arange(self.blocks.starts[block], self.blocks.starts[block + 1])

    def rows(self, lower_2: np.ndarray, upper_2: np.ndarray) -> np.ndarray:
        """Rows, ascending, with lower <= (x, y) < upper; only blocks that touch it are read.

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
        """Rows of a block and of all points within a margin around its own, ascending.

        Args:
            block: Its number.
            margin: In meters; x and y apart, so that the margin is a square frame.
        """
        if margin == 0:
            return self.block_rows(block)
        lower_2, upper_2 = self.blocks.bounds_B22[block].astype(np.float64)
        return self.rows(lower_2 - margin, upper_2 + margin)

    def windows(
        self, block: float | None, margin: float = 0.0, shift_2: tuple[float, float] = (0.0, 0.0)
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Cut the scan into squares for prediction, whatever blocks it is stored in.

        Args:
            block: Side of a square in meters; None is one window of everything.
            margin: Width of the context around a square, in meters.
            shift_2: Place of the grid, in meters from the origin: grids shifted against each
                other give every point several votes.

        Yields:
            Rows of the square, of which every row is in exactly one, and rows of the square with
            its context; both ascending.

        Raises:
            ValueError: If the block is not above 0 m, or the margin below.
        """
        if (block is not None and not block > 0) or margin < 0:
            raise ValueError(
                f"block must be above 0 m or None and margin 0 m or more, got {block} and {margin}"
            )
        if block is None:
            yield np.arange(len(self)), np.arange(len(self))
            return
        shift = np.asarray(shift_2, np.float64)
        # One more on either side: a quotient may be rounded to the wrong side of a whole number.
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
        """Points as a network is shown them.

        Args:
            core: Rows whose labels count; ascending.
            rows: All rows to show, ascending, with the core among them.
            ignore_index: Label of the others, and of all where the scan has no labels.
            name: Of the sample.

        Returns:
            The points in the order of ``rows``; x and y from the least of them, z from the origin
            of the scan.
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
    """Build a store where there is none, or a damaged one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=".building-", ignore_cleanup_errors=True
    ) as name:
        apart = Path(name)
        if target.exists() and ScanStore._load(scan.name, target) is not None:
            return  # another process was faster
        if target.exists():
            target.rename(apart / "damaged")
        unfinished = apart / "store"
        unfinished.mkdir()
        building.build(card, scan, unfinished, labels=labels)
        try:
            unfinished.rename(target)
        except OSError:
            if not target.exists():
                raise
            # Another process was faster; its store is as good.


def _fingerprint(card: PointCard, scan: scan_files.Scan, labels: bool) -> str:
    """Changes with everything that a store depends on."""
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
    }
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:20]
