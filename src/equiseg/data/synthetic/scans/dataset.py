"""Built-in scans: seeded scans of furnished rooms with a long tail, and two independent dials.

`imbalance` sets how many times more points the most common class has than the rarest; `context`
sets how strongly the neighbours and the place of an object predict its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from equiseg.data.points.sample import PointSample
from equiseg.data.synthetic.scans.config import ScansConfig as ScansConfig
from equiseg.data.synthetic.scans.layout import Plan, compose
from equiseg.data.synthetic.scans.scan import scan
from equiseg.data.synthetic.scans.variants import catalogue
from equiseg.data.synthetic.streams import (
    BLOCK,
    CALIBRATION,
    SPLITS,
    generator,
    strata,
)


def _room(
    config: ScansConfig, plan: Plan, stream: int, index: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Coordinates, colours and labels of a room, and the points asked for each class (K,)."""
    kinds, rng = catalogue(config.num_classes), generator(config.seed, stream, index, 1)
    strata_2K = strata(config.num_classes, config.seed, stream, index // BLOCK)[index % BLOCK]
    room = compose(kinds, plan, config.context, strata_2K, rng)
    asked_K = np.bincount(room.k_T, room.points_T, config.num_classes) * config.points
    return scan(room, kinds, config.points, rng), asked_K


@lru_cache(maxsize=64)
def _calibrated(config: ScansConfig) -> Plan:
    """The plan whose scanned labels have the planned shares.

    Only part of the points asked for a class is visible: some lie inside other objects, some face
    away from the scanner. The visible part is measured on rounds of rooms from a separate stream.
    It depends on the positions of objects, not on their numbers of points, so about two hundred
    rooms are enough.
    """
    kinds, num_classes = catalogue(config.num_classes), config.num_classes
    plan = Plan.of(config.shares, np.ones(num_classes), kinds)
    even = replace(plan, points_K=np.full(num_classes, 1 / plan.rate_K.sum()))
    shown_K, asked_K = 6.0 * np.ones(num_classes), 10.0 * np.ones(num_classes)  # a weak prior
    for index in range(3 * BLOCK):
        (_, _, labels_N), asked = _room(config, even, CALIBRATION, index)
        shown_K += np.bincount(labels_N, minlength=num_classes)
        asked_K += asked
    return Plan.of(config.shares, shown_K / asked_K, kinds)


class RoomScans:
    """Scans of rooms; each depends on the config, the split and its index alone.

    The room at an index does not depend on the order of reading, the worker or the number of rooms.
    The first use of a combination of dials in a process calibrates them, a few seconds.

    Args:
        config: The dials.
        split: "train", "val" or "test": independent random streams.
        num_scans: Length of the data set, at least 1.

    Attributes:
        classes: K names, from the most common to the rarest.
        ignore_index: 255; no point carries it.
        channels: Red, green and blue, in [0, 1].
        voxel_size: 0.08 m: a mug has a few voxels, and a wall is still connected.

    Raises:
        ValueError: If `split` is unknown or `num_scans` is below 1.

    Examples:
        >>> data = RoomScans(ScansConfig(num_classes=6), "train", num_scans=2)
        >>> data.classes
        ('wall', 'floor', 'ceiling', 'window', 'rug', 'sofa')
        >>> data[0].xyz_N3.shape[1], data[0].features_NC.shape[1], data[1].name
        (3, 3, 'train-00001')
    """

    ignore_index = 255
    background: int | None = None
    groups: Mapping[str, Sequence[str]] | None = None
    channels: tuple[str, ...] = ("red", "green", "blue")
    voxel_size = 0.08

    def __init__(self, config: ScansConfig, split: str, num_scans: int) -> None:
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        if num_scans < 1:
            raise ValueError(f"num_scans must be at least 1, got {num_scans}; a demo uses 300")
        self.config = config
        self.split = split
        self.num_scans = num_scans
        self.classes = tuple(kind.name for kind in catalogue(config.num_classes).kinds)
        # The plan depends on the dials, not on the seed or the number of points.
        self._plan = _calibrated(replace(config, seed=0, points=3000))

    def __len__(self) -> int:
        return self.num_scans

    def __getitem__(self, index: int) -> PointSample:
        if not -self.num_scans <= index < self.num_scans:
            raise IndexError(
                f"index must be below {self.num_scans}, the number of rooms, got {index}"
            )
        index %= self.num_scans
        arrays, _ = _room(self.config, self._plan, SPLITS.index(self.split), index)
        xyz_N3, rgb_N3, labels_N = map(torch.from_numpy, arrays)
        return PointSample(xyz_N3, rgb_N3, labels_N, f"{self.split}-{index:05d}")
