"""Training scans: drawn, cropped and augmented."""

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
    """Cropped and augmented scans; each depends on seed and key alone.

    Key ``draw * n + index`` names the draw (see :class:`equiseg.data.loading.EpochSampler`), so a
    resumed run or another number of workers sees the same scans.

    Args:
        data: Scans or blocks of scans.
        augment: Random changes.
        crop: The part of a scan, and how often it is chosen by class.
        seed: Seed of the run.
        counts_SK: (S, K) labelled points of each class in each of the S scans; needed if
            ``crop.rare`` is above 0.
        draws_S: (S,) how often the sampler draws each scan (:class:`EpochSampler`); the second scan
            of ``mix`` is drawn with the same frequencies. None draws all equally often.

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
        """Index of a random scan, drawn like the sampler draws scans."""
        if self.draws_S is None:
            return below(len(self.data), generator)
        return int(torch.multinomial(self.draws_S, 1, generator=generator))

    def _part(self, index: int, generator: torch.Generator) -> PointSample:
        """Part of this scan, or of a scan chosen by class."""
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
        """Row of the center: a point of the class, else a labelled point, else any point."""
        labels_N = sample.labels_N.long()
        if class_id is not None:
            rows = (labels_N == class_id).nonzero().flatten()
            if not len(rows):
                raise ValueError(
                    f"counts_SK must count the labels of each scan, got points of class {class_id} "
                    f"for {sample.name!r}, which has none; count the scans of this data set"
                )
        else:
            # Points around a block have no labels: a crop centered there would have few.
            rows = (labels_N != self.data.ignore_index).nonzero().flatten()
            if not len(rows):
                rows = torch.arange(len(labels_N))
        return rows[below(len(rows), generator)]
