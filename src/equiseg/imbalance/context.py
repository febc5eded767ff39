"""Context of the classes: regions, neighbours and co-occurrence in an image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.imbalance.regions import Layout, mask_layout, voxel_layout
from equiseg.imbalance.tally import Tally
from equiseg.labels import check_labels


@dataclass(eq=False)
class ContextStatistics(Tally):
    """Regions, neighbours and co-occurrence of the classes.

    A classifier can predict the class of a pixel from its context; these statistics measure how
    informative the context is. Statistics of parts of a data set add up with ``+``.

    Attributes:
        regions_K: (K,) int64, connected regions of each class: pixels that share a side, voxels
            that share a face.
        adjacency_KK: (K, K) int64, pairs of neighbouring pixels (voxels) by their two classes. Each
            pair is counted from both sides, so the matrix is symmetric and its diagonal holds twice
            the pairs within a class. Pairs with an unlabelled pixel are left out.
        cooccurrence_KK: (K, K) int64, images (scans) that contain both classes; on the diagonal,
            images that contain the class.
        num_images: Number of images counted.
    """

    regions_K: Tensor
    adjacency_KK: Tensor
    cooccurrence_KK: Tensor
    num_images: int

    @classmethod
    def from_labels(
        cls, labels: Iterable[Tensor], num_classes: int, *, ignore_index: int = 255
    ) -> ContextStatistics:
        """Count the masks of a data set, one image at a time.

        Args:
            labels: (H, W) integer masks, of any sizes.
            num_classes: Number of classes K.
            ignore_index: Label value to leave out.

        Raises:
            TypeError: If labels are not integers.
            ValueError: If a mask is not (H, W), or a label neither a class nor ``ignore_index``.
        """
        statistics = cls.zeros(num_classes)
        for labels_HW in labels:
            statistics.add(labels_HW, ignore_index=ignore_index)
        return statistics

    def add(self, labels_HW: Tensor, *, ignore_index: int = 255) -> None:
        """Count one more image, in place.

        Args:
            labels_HW: (H, W) integer mask.
            ignore_index: Label value to leave out.

        Raises:
            TypeError: If labels are not integers.
            ValueError: If the mask is not (H, W), or a label neither a class nor ``ignore_index``.
        """
        if labels_HW.ndim != 2:
            raise ValueError(
                f"labels_HW must be one mask (H, W), got shape {tuple(labels_HW.shape)}; add the "
                "images of a batch one by one, and scans with add_voxels"
            )
        check_labels(labels_HW, self.num_classes, ignore_index=ignore_index)
        self._add(mask_layout(labels_HW.cpu().numpy(), self.num_classes))

    def add_voxels(
        self, coordinates_V3: Tensor, labels_V: Tensor, *, ignore_index: int = 255
    ) -> None:
        """Count one more scan, in place.

        Args:
            coordinates_V3: (V, 3) integer coordinates of the occupied voxels, each once.
            labels_V: (V,) labels of the voxels, e.g. by majority of their points.
            ignore_index: Label value to leave out.

        Raises:
            TypeError: If coordinates or labels are not integers.
            ValueError: If shapes disagree, a voxel comes twice, or a label is neither a class nor
                ``ignore_index``.
        """
        if coordinates_V3.is_floating_point():
            raise TypeError(
                f"coordinates_V3 must be integers, got {coordinates_V3.dtype}; voxelize the points "
                "first"
            )
        if coordinates_V3.shape != (*labels_V.shape, 3) or labels_V.ndim != 1:
            raise ValueError(
                "coordinates_V3 must be (V, 3) and labels_V (V,), got "
                f"{tuple(coordinates_V3.shape)} and {tuple(labels_V.shape)}; take both from the "
                "same voxels"
            )
        check_labels(labels_V, self.num_classes, ignore_index=ignore_index)
        coordinates, labels = coordinates_V3.cpu().numpy(), labels_V.cpu().numpy()
        self._add(voxel_layout(coordinates, labels, self.num_classes))

    def adjacency_without_self(self) -> Tensor:
        """(K, K) int64 pairs of neighbours with two different classes: the borders between them."""
        return self.adjacency_KK - torch.diag(self.adjacency_KK.diagonal())

    def neighbour_correlation(self) -> float:
        """Correlation between the classes of a pixel and its neighbour, -1..1.

        Share of neighbours with equal class, minus the share expected by chance, divided by the
        largest possible difference (assortativity of Newman 2003, equation 2; Cohen's kappa). About
        1 for large regions, 0 for randomly scattered classes; NaN without neighbours or with only
        one class.
        """
        shares_KK = _shares(self.adjacency_KK)
        expected = float(shares_KK.sum(0).square().sum())
        return _ratio(float(shares_KK.trace()) - expected, 1 - expected)

    def neighbour_correlation_by_class(self) -> Tensor:
        """(K,) float64: correlation of "pixel is of class k" with "neighbour is of class k".

        Pearson's correlation of the two indicators over all pairs of neighbours. Its mean over the
        classes, weighted by the variances p (1 - p), is :meth:`neighbour_correlation`. NaN for a
        class without neighbours, and if there is only one class.
        """
        shares_KK = _shares(self.adjacency_KK)
        p_K = shares_KK.sum(0)
        return (shares_KK.diagonal() - p_K.square()) / (p_K * (1 - p_K))

    def entropy(self, *, across_borders: bool = False) -> float:
        """H(class) in bits, over the pixels of all neighbouring pairs; NaN without pairs.

        Args:
            across_borders: Use only pairs of two different classes.
        """
        return _entropy(_shares(self._pairs(across_borders)).sum(0))

    def conditional_entropy(self, *, across_borders: bool = False) -> float:
        """H(class | class of a neighbour) in bits, at most :meth:`entropy`; NaN without neighbours.

        The remaining uncertainty about the class of a pixel when the class of a neighbour is known.
        Over all pairs it is near 0, because regions are large, and measures their size. Across
        borders it measures whether certain classes are adjacent: a class gives
        ``entropy(...) - conditional_entropy(...)`` bits about the class that it borders on.

        Args:
            across_borders: Use only pairs of two different classes.
        """
        shares_KK = _shares(self._pairs(across_borders))
        return _entropy(shares_KK) - _entropy(shares_KK.sum(0))

    def _pairs(self, across_borders: bool) -> Tensor:
        return self.adjacency_without_self() if across_borders else self.adjacency_KK

    def _add(self, layout: Layout) -> None:
        present = torch.from_numpy(layout.counts_K).nonzero().squeeze(1)
        self.regions_K += torch.from_numpy(layout.regions_K)
        self.adjacency_KK += torch.from_numpy(layout.adjacency_KK)
        self.cooccurrence_KK[present.unsqueeze(1), present] += 1
        self.num_images += 1


def _shares(pairs_KK: Tensor) -> Tensor:
    """Counts as shares of their sum, NaN where that is 0."""
    return pairs_KK.double() / pairs_KK.sum()


def _entropy(shares: Tensor) -> float:
    """Entropy in bits."""
    return -float(torch.special.xlogy(shares, shares).sum()) / math.log(2)


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan
