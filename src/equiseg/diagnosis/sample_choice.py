"""Spread: some samples of a split in place of all of them."""

from __future__ import annotations

from typing import Any

import torch

from equiseg.data.sample import DataSpec


class Spread:
    """Samples spread evenly over a split, in an order drawn once and for all.

    Neighbours in a folder often look alike: taken evenly, few samples say more, and shuffled, a
    batch of them holds as many classes as a batch of training does.

    Args:
        data: The split, ``SegmentationData`` or ``PointData``.
        most: Samples to take at most; None takes all.

    Raises:
        ValueError: If ``most`` is not positive.
    """

    def __init__(self, data: Any, most: int | None = None) -> None:
        if most is not None and most < 1:
            raise ValueError(f"samples must be at least 1, got {most}; leave it out for all")
        spec = DataSpec.of(data)
        self.data = data
        self.classes = spec.classes
        self.ignore_index = spec.ignore_index
        self.background = spec.background
        self.channels = spec.channels
        self.voxel_size = spec.voxel_size
        self.groups = spec.groups
        number = len(data) if most is None else min(most, len(data))
        order = torch.randperm(number, generator=torch.Generator().manual_seed(0))
        self.indices = [i * len(data) // number for i in order.tolist()]

    def __len__(self) -> int:
        """Number of samples taken."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        """The sample at ``index`` of this order."""
        return self.data[self.indices[index]]
