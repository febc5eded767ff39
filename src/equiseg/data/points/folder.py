"""PointFolder: one split of the labelled point clouds of a data card, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from equiseg.data.errors import DataError
from equiseg.data.in_workers import in_workers
from equiseg.data.point_card import PointCard
from equiseg.data.points.formats.scans import Scan, channel_names, find_scans
from equiseg.data.points.formats.table import find_format
from equiseg.data.points.sample import PointSample
from equiseg.data.points.store.scan_store import BLOCKS, CacheError, ScanStore, cache_folder
from equiseg.data.points.store.split_blocks import deal_blocks
from equiseg.data.survey.origins import Origin, digest_of
from equiseg.foreign_files import FileError
from equiseg.progress import Track, untracked

_NO_LABELS = (
    "{}: has no labels{}, which training and scoring need; add them, or leave the scan to "
    "prediction"
)


class PointFolder:
    """One split of a data set of point clouds; a sample is a block, or a whole scan without blocks.

    A sample contains the points of the block and, labelled ``ignore_index``, the points within
    ``card.margin`` around it. Blocks without a labelled point are skipped. The first time, every
    scan is read from its file and stored on disk, sorted by block (``ScanStore``), with about 30
    bytes per point.

    Args:
        card: The description of the data set.
        split: Name of a split of the card. If the card deals blocks to the splits, all its scans
            are read and the blocks of this split are used (``deal_blocks``).
        folder: Folder of the stored scans; None takes ``cache_folder()``.
        track: Shows the progress while scans are opened.
        num_workers: Worker processes that store scans the first time, each with one part of one
            scan in memory; 0 stores them in this process.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class for "nothing named", if there is one.
        groups: Names of the classes in head, common and tail, if the card defines them.
        labelled_only: Whether scores leave classes without labels out of all means, which is the
            rule of the benchmark.
        channels: Names of the C feature channels.
        voxel_size: Side of a voxel in meters.
        scans: Stores of the scans.
        sources: File or folder of each scan, to compare the splits; empty if the splits share all
            scans, or are those of a benchmark, which share none.
        places: Scan and block number of each sample.
        counts_SK: (S, K) int64 labelled points of each class in each of the S samples.
        reading: Identifies the folder, and how its files become samples.

    Raises:
        DataError: If the card has no such split, the split has no labelled points, or scans cannot
            be used; the message lists all of them.
    """

    def __init__(
        self,
        card: PointCard,
        split: str,
        folder: Path | None = None,
        track: Track = untracked,
        num_workers: int = 0,
    ) -> None:
        self.card = card
        self.classes = card.class_names()
        self.ignore_index = card.ignore_index
        self.background = card.background_id()
        self.groups = card.groups
        self.labelled_only = find_format(card.form).labelled_only
        self.channels = channel_names(card.features)
        self.voxel_size = card.voxel
        found = find_scans(card, split)
        own = isinstance(card.splits, Mapping) and find_format(card.form).official is None
        self.sources = [scan.path for scan in found] if own else []
        self.scans = _opened(card, split, found, folder or cache_folder(), track, num_workers)
        counts_BK = np.concatenate([store.blocks.counts_BK for store in self.scans])
        chosen_B = counts_BK.any(axis=1)
        if not isinstance(card.splits, Mapping):
            chosen_B &= np.array(deal_blocks(counts_BK, card.splits)) == split
        every = [(s, b) for s, store in enumerate(self.scans) for b in range(store.num_blocks)]
        self.places = [every[i] for i in np.flatnonzero(chosen_B)]
        self.counts_SK = torch.from_numpy(counts_BK[chosen_B])
        if not self.places:
            raise DataError(
                f"card {card.name}: split {split!r} has no labelled points in {len(self.scans)} "
                "scan(s); check classes and ignore_values, and that blocks are enough to be dealt"
            )

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.places)

    def __getitem__(self, index: int) -> PointSample:
        """One block with the points around it."""
        scan, block = self.places[index]
        store = self.scans[scan]
        name = store.name
        if self.card.block is not None:
            name += "_{}_{}".format(*store.blocks.index_B2[block])
        core, rows = store.block_rows(block), store.around(block, self.card.margin)
        return store.sample(core, rows, self.ignore_index, name)

    @cached_property
    def reading(self) -> str:
        """Identifies the folder, and how its files become samples."""
        root = str(self.card.path), self.card.path.absolute()
        return digest_of(*root, self.card.margin, self.voxel_size, self.ignore_index)

    def origin(self, index: int) -> Origin:
        """The block of a store; the folder of a store names the scan and the rest of the card."""
        scan, block = self.places[index]
        return Origin(str(block), (str(self.scans[scan].folder / BLOCKS),))


def _opened(
    card: PointCard,
    split: str,
    scans: Sequence[Scan],
    folder: Path,
    track: Track,
    num_workers: int,
) -> list[ScanStore]:
    """The stores of all scans; an error lists every problem."""
    stores: list[ScanStore] = []
    problems: list[str] = []
    found = [ScanStore.find(card, scan, folder) for scan in scans]
    missing = [scan for scan, store in zip(scans, found, strict=True) if store is None]
    made = in_workers(partial(_made, card, folder), missing, num_workers)
    for scan, known in zip(track(scans, f"scans of {split}"), found, strict=True):
        store = next(made) if known is None else known
        if isinstance(store, CacheError):
            raise store
        if isinstance(store, FileError):
            problems.append(str(store))
            continue
        stores.append(store)
        if store.labels_N is None:
            names = " or ".join(find_format(card.form).label_names)
            problems.append(_NO_LABELS.format(scan.path, f" ({names})" if names else ""))
    if problems:
        raise DataError.listing(f"{card.name}/{split}: scans that cannot be used", problems)
    return stores


def _made(card: PointCard, folder: Path, scan: Scan) -> ScanStore | FileError:
    """The store of a scan, or why there is none; called in a worker, which must not raise."""
    try:
        return ScanStore.open(card, scan, folder)
    except FileError as error:
        return error
