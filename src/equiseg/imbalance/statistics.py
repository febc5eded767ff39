"""Class statistics of a labelled data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.imbalance.formulas import class_prior, imbalance_factor
from equiseg.imbalance.tally import Tally
from equiseg.labels import checked_counts


@dataclass(eq=False)
class ClassStatistics(Tally):
    """Number of pixels and images of each class.

    Statistics of parts of a data set add up with ``+``.

    Attributes:
        pixels_K: (K,) int64, labelled pixels (or points) of each class.
        images_K: (K,) int64, images (or scans) that contain each class.
        num_images: Number of images counted.

    Examples:
        >>> import torch
        >>> from equiseg import ClassStatistics
        >>> masks = [torch.tensor([[0, 0, 1]]), torch.tensor([[0, 2, 255]])]
        >>> statistics = ClassStatistics.from_labels(masks, num_classes=3)
        >>> statistics.pixels_K.tolist(), statistics.images_K.tolist()
        ([3, 1, 1], [2, 1, 1])
        >>> statistics.pixel_imbalance
        3.0
    """

    pixels_K: Tensor
    images_K: Tensor
    num_images: int

    @classmethod
    def from_labels(
        cls, labels: Iterable[Tensor], num_classes: int, *, ignore_index: int = 255
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
        statistics = cls.zeros(num_classes)
        for image_labels in labels:
            statistics.add(image_labels, ignore_index=ignore_index)
        return statistics

    @classmethod
    def from_counts(cls, counts_SK: Tensor) -> ClassStatistics:
        """Statistics from the label counts of each sample.

        Args:
            counts_SK: (S, K) int64 number of labels of each class in each of S samples.
        """
        return cls(counts_SK.sum(0), (counts_SK > 0).sum(0), len(counts_SK))

    def add(self, labels: Tensor, *, ignore_index: int = 255) -> None:
        """Count one more image or scan, in place.

        Args:
            labels: Integer labels of any shape.
            ignore_index: Label value to leave out.

        Raises:
            TypeError: If labels are not integers.
            ValueError: If a label is neither a class nor ``ignore_index``.
        """
        counts_K = checked_counts(labels, self.num_classes, ignore_index=ignore_index).cpu()
        self.pixels_K += counts_K
        self.images_K += counts_K > 0
        self.num_images += 1

    @property
    def pixel_imbalance(self) -> float:
        """Ratio of the largest to the smallest class in pixels, over the classes that occur."""
        return imbalance_factor(self.pixels_K)

    @property
    def image_imbalance(self) -> float:
        """Ratio of the largest to the smallest number of images with a class that occurs."""
        return imbalance_factor(self.images_K)

    def centers_per_batch(self, batch_size: int) -> Tensor:
        """Expected number of centers of each class in a batch: (K,) float64 in 0..1.

        A batch has one center of a class or none. If b of N images are drawn at random and n of the
        N contain the class, it has none with probability C(N - n, b) / C(N, b) (hypergeometric).
        This holds for whole images; crops contain fewer classes.

        Args:
            batch_size: Images b in a batch; beyond N, a batch holds all images.

        Raises:
            ValueError: If the batch is empty.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1 image, got {batch_size}")
        images_K = self.images_K.double()
        log_absent_K = torch.zeros_like(images_K)
        for drawn in range(min(batch_size, self.num_images)):
            log_absent_K += torch.log1p(-(images_K / (self.num_images - drawn)).clamp(max=1))
        return -torch.expm1(log_absent_K)

    def center_imbalance(self, batch_size: int) -> float:
        """Ratio of the largest to the smallest number of centers per batch.

        Only classes that occur count. It lies between 1 and the image imbalance. It is the
        imbalance for the center branch, as the pixel imbalance is for the pixel branch.

        Args:
            batch_size: Images in a batch.
        """
        return imbalance_factor(self.centers_per_batch(batch_size))

    def image_prior(self) -> Tensor:
        """(K,) share of the images that contain each class, as the published branch uses it.

        A class in no image gets the share of the most common class, see :func:`class_prior`.
        """
        return class_prior(self.images_K, total=self.num_images)
