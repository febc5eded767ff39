"""Boundary IoU: counts of the pixels near boundaries, and their result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.means import by_class_name, group_means, mean_known

DISTANCE = 0.02
"""Share of the diagonal, as in Cheng et al. 2021."""
NUMBERS = ("boundary_iou", *(f"{group}_boundary_iou" for group in ("head", "common", "tail")))
"""Names of the numbers that one result is asked for."""
_OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """Counts of pixels near the boundary of their class; ``+`` adds those of parts.

    Attributes:
        hits_K: (K,) int64 pixels near the boundary of the class in both labels and predictions.
        unions_K: (K,) int64 pixels near its boundary in either.
        pixels_K: (K,) int64 labelled pixels.
    """

    hits_K: Tensor
    unions_K: Tensor
    pixels_K: Tensor

    @classmethod
    def zeros(cls, num_classes: int) -> BoundaryCounts:
        """Counts before any pixel was seen."""
        return cls(*(torch.zeros(num_classes, dtype=torch.int64) for _ in range(3)))

    @classmethod
    def of_maps(
        cls, predicted: Tensor, truth: Tensor, num_classes: int, distance: float = DISTANCE
    ) -> BoundaryCounts:
        """Counts of images or volumes.

        Args:
            predicted: (B, *spatial) class ids.
            truth: (B, *spatial) class ids; K where there is no label.
            num_classes: Number of classes K.
            distance: Share of the diagonal.
        """

        def counted(ids: Tensor) -> Tensor:
            return torch.bincount(ids.flatten(), minlength=num_classes + 1)[:num_classes]

        predicted = predicted.masked_fill(truth == num_classes, num_classes)
        pixels = max(1, round(distance * math.hypot(*truth.shape[1:])))
        narrow = torch.int16 if num_classes < 1 << 15 else torch.int64  # four times faster
        near_truth, near_guess = (
            ids.where(_near_boundary(ids.to(narrow), pixels), num_classes)
            for ids in (truth, predicted)
        )
        hits_K = counted(near_truth.where(near_truth == near_guess, num_classes))
        unions_K = counted(near_truth) + counted(near_guess) - hits_K
        return cls(hits_K, unions_K, counted(truth))

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """Counts of both parts together."""
        return BoundaryCounts(
            self.hits_K + other.hits_K,
            self.unions_K + other.unions_K,
            self.pixels_K + other.pixels_K,
        )


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

    @classmethod
    def from_counts(
        cls, counts: BoundaryCounts, groups: FrequencyGroups | None = None
    ) -> BoundaryResult:
        """The result of counts.

        Args:
            counts: Of a whole data set.
            groups: Head, common and tail; None takes thirds of the labels counted here.
        """
        groups = groups or FrequencyGroups.from_counts(counts.pixels_K.cpu())
        iou_K = (counts.hits_K.double() / counts.unions_K).cpu()  # 0 / 0 is the NaN that is meant
        return cls(iou_K, mean_known(iou_K)[0], group_means(iou_K, groups), groups)

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The means by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``boundary_iou/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.
        """
        numbers = {"boundary_iou": self.miou}
        numbers |= {f"{group}_boundary_iou": mean for group, mean in self.by_group.items()}
        return numbers | by_class_name("boundary_iou", self.iou_K, classes)


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
