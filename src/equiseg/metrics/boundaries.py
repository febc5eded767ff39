"""BoundaryScore: IoU of the pixels near boundaries; small and thin objects have no others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.means import group_means, mean_known
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric

_OUTSIDE = -1
_GROUPS = ("head", "common", "tail")
_NUMBERS = ("boundary_iou", *(f"{group}_boundary_iou" for group in _GROUPS))


@dataclass(frozen=True)
class BoundaryResult:
    """Boundary IoU of one data set, as fractions; NaN where there is nothing to score.

    Attributes:
        iou_K: (K,) float64 boundary IoU; NaN for classes that are neither labelled nor predicted.
        miou: Mean of ``iou_K``.
        by_group: Means over head, common and tail.
        groups: The classes of each group.
    """

    iou_K: Tensor
    miou: float
    by_group: Mapping[str, float]
    groups: FrequencyGroups

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The means by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``boundary_iou/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.
        """
        if classes and len(classes) != len(self.iou_K):
            raise ValueError(
                f"classes must name the {len(self.iou_K)} classes, got {len(classes)} names"
            )
        numbers = {"boundary_iou": self.miou}
        numbers |= {f"{group}_boundary_iou": mean for group, mean in self.by_group.items()}
        ious = self.iou_K.tolist() if classes else ()
        return numbers | {f"boundary_iou/{c}": iou for c, iou in zip(classes, ious, strict=True)}


class BoundaryScore(SummedMetric[BoundaryResult]):
    """Boundary IoU over a whole data set: only pixels near the boundary of their class count.

    The IoU of a large object hardly changes with its outline, boundary IoU does; of a small object
    every pixel is near the boundary, and both agree. The pixels of a class within a distance of
    other classes, or of the edge of the image, are compared: those of the labels with those of the
    predictions (Cheng et al., "Boundary IoU", CVPR 2021, eq. 3; there of single masks, here summed
    over the images, as the IoU of :class:`SegmentationScore` is). The distance is that of a square
    window. Where there is no label, the prediction is left out, and ends there as the labels do.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail as in :class:`SegmentationScore`; None splits the label
            counts seen by the metric.
        distance: Distance as a share of the image's diagonal, rounded, at least one pixel. 0.02 as
            in the paper: 14 pixels for 512x512.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If an argument cannot work.

    Examples:
        >>> import torch
        >>> from equiseg import BoundaryScore
        >>> labels = torch.zeros(1, 9, 9, dtype=torch.int64)
        >>> labels[0, :, 4:] = 1
        >>> predictions = torch.zeros_like(labels)
        >>> predictions[0, :, 5:] = 1  # one column less
        >>> score = BoundaryScore(num_classes=2)
        >>> score.update(predictions, labels)
        >>> round(score.compute().miou, 3)
        0.484
    """

    higher_is_better = True
    numbers = _NUMBERS
    hits_K: Tensor
    unions_K: Tensor
    pixels_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: FrequencyGroups
        | Mapping[str, Sequence[int]]
        | Tensor
        | Sequence[int]
        | None = None,
        distance: float = 0.02,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        if not 0 < distance < 1:
            raise ValueError(
                f"distance must be a share of the diagonal in (0, 1), got {distance}; 0.02 is usual"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.distance = distance
        for name in ("hits_K", "unions_K", "pixels_K"):
            zeros_K = torch.zeros(num_classes, dtype=torch.int64)
            self.add_state(name, zeros_K, dist_reduce_fx="sum")

    def update(self, predictions: Tensor, labels: Tensor) -> None:
        """Count one batch.

        Args:
            predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial), which are
                resized to the labels (linearly, corners not aligned) when their sizes differ.
            labels: (B, *spatial) integer ids with one to three spatial dimensions.

        Raises:
            TypeError: If class ids or labels are not integers.
            ValueError: If shapes disagree, or (checked on CPU tensors) a value is out of range.
        """
        if not 2 <= labels.ndim <= 4:
            raise ValueError(
                "labels must have one to three spatial dimensions (B, *spatial), got "
                f"{tuple(labels.shape)}; points have no boundaries"
            )
        predicted, truth = checked_pair(predictions, labels, self.num_classes, self.ignore_index)
        predicted = predicted.masked_fill(truth == self.num_classes, self.num_classes)
        distance = max(1, round(self.distance * math.hypot(*labels.shape[1:])))
        narrow = torch.int16 if self.num_classes < 1 << 15 else torch.int64  # four times faster
        near_truth, near_guess = (
            ids.where(_near_boundary(ids.to(narrow), distance), self.num_classes)
            for ids in (truth, predicted)
        )
        hits_K = self._counts(near_truth.where(near_truth == near_guess, self.num_classes))
        both_K = self._counts(near_truth) + self._counts(near_guess)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        self.hits_K = self.hits_K + hits_K
        self.unions_K = self.unions_K + both_K - hits_K
        self.pixels_K = self.pixels_K + self._counts(truth)

    def result_of(self, *states: Tensor) -> BoundaryResult:
        """Scores of the counts."""
        hits_K, unions_K, pixels_K = (state.cpu() for state in states)
        groups = self.groups or FrequencyGroups.from_counts(pixels_K)
        iou_K = hits_K.double() / unions_K  # 0 / 0 is the NaN that is meant
        return BoundaryResult(iou_K, mean_known(iou_K)[0], group_means(iou_K, groups), groups)

    def _counts(self, ids: Tensor) -> Tensor:
        """(K,) pixels of each class; id K is none."""
        return torch.bincount(ids.flatten(), minlength=self.num_classes + 1)[: self.num_classes]


def _near_boundary(ids: Tensor, distance: int) -> Tensor:
    """Whether the square window around each pixel holds another id, or reaches over the edge."""
    least = most = ids
    for axis in range(1, ids.ndim):
        least = _window(least, axis, distance, torch.minimum)
        most = _window(most, axis, distance, torch.maximum)
    return least != most


def _window(
    ids: Tensor, axis: int, distance: int, choose: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The least or largest id within a distance along an axis: by windows of doubled width."""
    length, width = ids.shape[axis], 2 * distance + 1
    padding = [0, 0] * (ids.ndim - 1 - axis) + [distance, distance]
    chosen, reached = F.pad(ids, padding, value=_OUTSIDE), 1
    while 2 * reached <= width:
        rest = chosen.shape[axis] - reached
        chosen = choose(chosen.narrow(axis, 0, rest), chosen.narrow(axis, reached, rest))
        reached *= 2
    last = width - reached
    return choose(chosen.narrow(axis, 0, length), chosen.narrow(axis, last, length))
