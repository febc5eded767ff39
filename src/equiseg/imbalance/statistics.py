"""Class statistics of a labelled data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.labels import check_labels, count_labels


@dataclass(frozen=True)
class ClassStatistics:
    """How often each class occurs.

    Attributes:
        pixels_K: (K,) int64, labelled pixels (or points) of each class.
        images_K: (K,) int64, images (or scans) that contain each class.
        num_images: Number of images counted.
    """

    pixels_K: Tensor
    images_K: Tensor
    num_images: int

    @classmethod
    def from_labels(
        cls, labels: Iterable[Tensor], num_classes: int, ignore_index: int = 255
    ) -> ClassStatistics:
        """Count the label maps of a data set, one image at a time.

        Args:
            labels: Integer label maps of any shape, one for each image.
            num_classes: Number of classes K.
            ignore_index: Label value to leave out.

        Raises:
            TypeError: If labels are not integers.
            ValueError: If a label is neither a class nor ``ignore_index``.
        """
        pixels = torch.zeros(num_classes, dtype=torch.int64)
        images = torch.zeros(num_classes, dtype=torch.int64)
        num_images = 0
        for image_labels in labels:
            check_labels(image_labels, num_classes, ignore_index)
            counts = count_labels(image_labels, num_classes, ignore_index).cpu()
            pixels += counts
            images += (counts > 0).long()
            num_images += 1
        return cls(pixels, images, num_images)

    @property
    def pixel_imbalance(self) -> float:
        """Largest over smallest class in pixels, over the classes that occur."""
        return _imbalance_factor(self.pixels_K)

    @property
    def image_imbalance(self) -> float:
        """Largest over smallest class in images that contain it, over the classes that occur."""
        return _imbalance_factor(self.images_K)

    def image_prior(self) -> Tensor:
        """(K,) share of the images that contain each class, as the published branch uses it.

        A class in no image gets half an image, so that the logarithm is finite.
        """
        return self.images_K.double().clamp(min=0.5) / max(self.num_images, 1)


def _imbalance_factor(counts_K: Tensor) -> float:
    present = counts_K[counts_K > 0]
    return float(present.max() / present.min()) if len(present) else float("nan")
