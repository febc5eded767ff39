"""CollapseMetric: the distance of features from neural collapse, in one pass over a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.collapse.measures import CollapseMeasures
from equiseg.collapse.moments import ClassMoments, Resolution
from equiseg.metrics.summed_metric import SummedMetric
from equiseg.resize import LINEAR_MODES


class CollapseMetric(SummedMetric[CollapseMeasures]):
    """Neural collapse of last-layer features, counted batch by batch and summed over ranks.

    Its states are the moments of :class:`equiseg.collapse.ClassMoments`: 8 K D^2 bytes, plus the
    same for every rank while ranks are summed.

    Args:
        num_classes: Number of classes K.
        in_features: Channels D of the features.
        classifier: The layer that maps features to logits: a module with a weight of K rows of D (a
            Linear or a 1x1 convolution), read at each use, so that it may continue training; or the
            rows as a (K, D) tensor. It is neither moved nor saved with the metric. None leaves out
            self-duality and the geometry of the classifier.
        ignore_index: Label value to leave out.
        centers: (K, D) centers of an earlier pass (``metric.centers_KD``), absent rows zero, to
            count the agreement of classifier and nearest center. This resizes the scores, which
            needs K maps of the size of one image.
        resolution: Resolution of the covariance, as in :class:`equiseg.collapse.ClassMoments`.
        align_corners: The convention of the resize, as in :func:`equiseg.class_centers`.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        TypeError: If the classifier has no weight.
        ValueError: If a size, ``ignore_index`` or the resolution cannot work, the classifier or
            the centers are not (K, D), or centers come without a classifier.

    Examples:
        Features on the vertices of a simplex have collapsed:

        >>> import torch
        >>> from equiseg import CollapseMetric, simplex_etf
        >>> labels = torch.arange(40) % 4
        >>> metric = CollapseMetric(num_classes=4, in_features=8)
        >>> metric.update(simplex_etf(4, 8)[labels], labels)
        >>> measures = metric.compute()
        >>> round(measures.equiangularity, 4), round(measures.nc1_ratio, 4)
        (0.0, 0.0)
    """

    counts_K: Tensor
    sums_KD: Tensor
    squares_KDD: Tensor
    num_agreeing: Tensor

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        classifier: nn.Module | Tensor | None = None,
        ignore_index: int = 255,
        centers: Tensor | None = None,
        resolution: Resolution = "label",
        align_corners: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.in_features = in_features
        self.ignore_index = ignore_index
        self.resolution: Resolution = resolution
        self.align_corners = align_corners
        self._classifier = (classifier,)  # in a tuple, so that torch does not register the module
        self._rows_and_bias()
        if centers is not None and classifier is None:
            raise ValueError(
                "centers need a classifier to compare with, got none; pass classifier= too"
            )
        if centers is not None and centers.shape != (num_classes, in_features):
            raise ValueError(
                f"centers must be ({num_classes}, {in_features}), got {tuple(centers.shape)}; pass "
                "the centers_KD of a metric with the same num_classes and in_features"
            )
        if centers is not None and not centers.any():
            raise ValueError(
                "centers must have a row that is not zero, as absent classes have; got none: "
                "update the first metric before reading its centers_KD"
            )
        self.centers = None if centers is None else centers.detach().clone()
        nothing = ClassMoments.zeros(
            num_classes, in_features, ignore_index=ignore_index, resolution=resolution
        )
        self.add_state("counts_K", nothing.counts_K, dist_reduce_fx="sum")
        self.add_state("sums_KD", nothing.sums_KD, dist_reduce_fx="sum")
        self.add_state("squares_KDD", nothing.squares_KDD, dist_reduce_fx="sum")
        self.add_state("num_agreeing", torch.tensor(0), dist_reduce_fx="sum")

    @property
    def moments(self) -> ClassMoments:
        """Moments so far, of this rank; in ``with metric.sync_context():`` of all ranks."""
        return self._moments_of(self.counts_K, self.sums_KD, self.squares_KDD)

    @property
    def centers_KD(self) -> Tensor:
        """(K, D) float64 centers so far, see :attr:`moments`; absent rows are zero."""
        return self.moments.centers_KD

    def update(self, features: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> None:
        """Count one batch.

        Args:
            features: The classifier's input: (B, D, *spatial), (N, D) points, or (V, D) voxels
                with an ``inverse`` map.
            labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,).
            inverse: (N,) int64, the row of ``features`` that each labelled point lies in.

        Raises:
            TypeError: If features are not floating point or labels are not integers.
            ValueError: If shapes, labels or D do not fit.
        """
        moments = self.moments
        moments.update(features, labels, inverse=inverse, align_corners=self.align_corners)
        if self.centers is not None:
            agreeing = self._count_agreeing(features.detach(), labels, inverse)
            self.num_agreeing = self.num_agreeing + agreeing

    def result_of(self, *states: Tensor) -> CollapseMeasures:
        """Measures of the moments, and of the classifier as it is now."""
        counts_K, sums_KD, squares_KDD, num_agreeing = states
        rows_KD, _ = self._rows_and_bias()
        agreement = math.nan
        if self.centers is not None:  # 0 / 0 is the NaN that is meant
            agreement = float(num_agreeing.double() / counts_K.sum())
        return CollapseMeasures.of(
            self._moments_of(counts_K, sums_KD, squares_KDD),
            rows_KD,
            nearest_center_agreement=agreement,
        )

    def _moments_of(self, counts_K: Tensor, sums_KD: Tensor, squares_KDD: Tensor) -> ClassMoments:
        return ClassMoments(counts_K, sums_KD, squares_KDD, self.ignore_index, self.resolution)

    def _rows_and_bias(self) -> tuple[Tensor | None, Tensor | None]:
        """(K, D) weight and (K,) bias of the classifier as it is now."""
        (classifier,) = self._classifier
        if classifier is None:
            return None, None
        weight = (
            classifier if isinstance(classifier, Tensor) else getattr(classifier, "weight", None)
        )
        if not isinstance(weight, Tensor):
            raise TypeError(
                f"classifier must be a module with a weight or a tensor, got {classifier}; pass "
                "the last layer itself"
            )
        if weight.shape[:2] != (self.num_classes, self.in_features) or weight[0, 0].numel() != 1:
            raise ValueError(
                f"classifier must have a weight of {self.num_classes} rows of {self.in_features}, "
                f"got {tuple(weight.shape)}; one that looks at a neighbourhood has no row to "
                "compare with a center: pass classifier=None"
            )
        bias = None if isinstance(classifier, Tensor) else getattr(classifier, "bias", None)
        return weight.detach().flatten(1), bias if bias is None else bias.detach()

    def _count_agreeing(self, features: Tensor, labels: Tensor, inverse: Tensor | None) -> Tensor:
        """Number of labelled pixels where the prediction is the class of the nearest center."""
        rows_KD, bias_K = self._rows_and_bias()
        assert rows_KD is not None and self.centers is not None
        rows_KD = rows_KD.to(features.device, torch.promote_types(features.dtype, torch.float32))
        centers_KD = self.centers.to(rows_KD)
        present = centers_KD.any(1).nonzero().flatten()
        centers_KD = centers_KD[present]
        squares_K = centers_KD.square().sum(1)
        maps = [(features.T, labels)] if features.ndim == 2 else zip(features, labels, strict=True)
        agreeing = torch.zeros((), dtype=torch.int64, device=features.device)
        for map_, truth in maps:
            size = map_.shape[1:] if inverse is not None else truth.shape
            chosen = self._largest(map_, size, rows_KD, bias_K)
            # f.c - |c|^2 / 2 is affine in f, so its resized value is the value at the resized f.
            nearest = present[self._largest(map_, size, centers_KD, -squares_K / 2)]
            agrees = chosen == nearest
            if inverse is not None:
                agrees = agrees[inverse]
            # In 8 bits, comparing with -100 would wrap around.
            agreeing += (agrees & (truth.long() != self.ignore_index)).sum()
        return agreeing

    def _largest(
        self, map_: Tensor, size: Sequence[int], weight_KD: Tensor, bias_K: Tensor | None
    ) -> Tensor:
        """(*size) row of the largest score, of the (D, *cells) features resized to ``size``."""
        with torch.autocast(map_.device.type, enabled=False):
            scores = torch.tensordot(weight_KD, map_.to(weight_KD), dims=1)
        if bias_K is not None:
            scores = scores + bias_K.to(weight_KD).view(-1, *[1] * len(size))
        if map_.shape[1:] != size:
            mode = LINEAR_MODES[len(size)]
            scores = F.interpolate(
                scores.unsqueeze(0), tuple(size), mode=mode, align_corners=self.align_corners
            ).squeeze(0)
        winners: Tensor = scores.max(0).indices  # as argmax(0), which is slower on CPUs
        return winners
