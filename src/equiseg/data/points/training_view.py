"""Training scans: which one, which part of it, and changed at random."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset

from equiseg.data.class_draw import ClassDraw, below
from equiseg.data.points.config import PointAugmentConfig
from equiseg.data.points.config import PointCropConfig as PointCropConfig
from equiseg.data.points.crops import block_crop, sphere_crop
from equiseg.data.points.sample import PointData, PointSample
from equiseg.data.points.transforms import augment_points
from equiseg.data.seeds import mixed_seed


class PointTrainingView(Dataset[PointSample]):
    """Cropped and augmented scans, each a pure function of seed and key.

    Key ``draw * n + index`` names the draw (see :class:`equiseg.data.loading.EpochSampler`), so a
    resumed run or another number of workers sees the same scans.

    Args:
        data: Scans or blocks of them.
        augment: Random changes.
        crop: The part of a scan, and how often rare classes choose it.
        seed: Of the run.
        counts_SK: (S, K) labelled points of each class in each of the S scans; needed where
            ``crop.rare`` is above 0.
        draws_S: (S,) how often a sampler draws each scan (:class:`EpochSampler`); a second scan
            that is mixed in is drawn as often. None takes any, all alike.

    Raises:
        ValueError: If the counts are missing, of another shape, or all 0.
    """

    def __init__(
        self,
        data: PointData,
        augment: PointAugmentConfig,
        crop: PointCropConfig,
        seed: int,
        counts_SK: Tensor | None = None,
        draws_S: Tensor | None = None,
    ) -> None:
        self.data = data
        self.augment = augment
        self.crop = crop
        self.seed = seed
        self.draws_S = draws_S
        self.by_class: ClassDraw | None = None
        if crop.rare:
            shape = len(data), len(data.classes)
            self.by_class = ClassDraw(counts_SK, crop.rare_power, shape)

    def __len__(self) -> int:
        """Scans in one epoch."""
        return len(self.data)

    def __getitem__(self, key: int) -> PointSample:
        """The scan of one draw."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, key))

        def other() -> PointSample:
            return self._part(self._any(generator), generator)

        sample = self._part(key % len(self.data), generator)
        return augment_points(sample, self.augment, generator, self.data.channels, other)

    def _any(self, generator: torch.Generator) -> int:
        """A scan, as likely as the sampler draws it."""
        if self.draws_S is None:
            return below(len(self.data), generator)
        return int(torch.multinomial(self.draws_S, 1, generator=generator))

    def _part(self, index: int, generator: torch.Generator) -> PointSample:
        """Part of this scan, or of one with a class that has been drawn."""
        class_id = None
        if self.by_class and torch.rand((), generator=generator).item() < self.crop.rare:
            index, class_id = self.by_class(generator)
        sample = self.data[index]
        center_3 = sample.xyz_N3[self._center(sample, class_id, generator)]
        if self.crop.shape == "block":
            return block_crop(sample, center_3, self.crop.size or 0, most=self.crop.most)
        return sphere_crop(sample, center_3, self.crop.size or math.inf, most=self.crop.most)

    def _center(
        self, sample: PointSample, class_id: int | None, generator: torch.Generator
    ) -> Tensor:
        """Row of the center: of the class, else labelled, else any."""
        labels_N = sample.labels_N.long()
        if class_id is not None:
            rows = (labels_N == class_id).nonzero().flatten()
            if not len(rows):
                raise ValueError(
                    f"counts_SK must tell the classes of each scan, got points of class {class_id} "
                    f"for {sample.name!r}, which has none; count the scans of this data set"
                )
        else:
            # Around a block lie points without labels, for context: a center there teaches little.
            rows = (labels_N != self.data.ignore_index).nonzero().flatten()
            if not len(rows):
                rows = torch.arange(len(labels_N))
        return rows[below(len(rows), generator)]
