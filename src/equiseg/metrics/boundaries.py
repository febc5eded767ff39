"""BoundaryScore: IoU of the pixels near boundaries; small and thin objects have no others."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.groups import AnyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.boundary_counts import DISTANCE, NUMBERS, BoundaryCounts, BoundaryResult
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric


class BoundaryScore(SummedMetric[BoundaryResult]):
    """Boundary IoU over a whole data set: only pixels near the boundary of their class count.

    An error at the outline of a large object hardly changes its IoU, but much of its boundary IoU.
    In a small object every pixel is near the boundary, and both agree. A pixel is near the boundary
    if the square window around it contains another class or the edge of the image (Cheng et al.,
    "Boundary IoU", CVPR 2021, eq. 3). The paper scores single masks; here intersections and unions
    are summed over the data set, as in :class:`SegmentationScore`. Predictions of unlabelled pixels
    do not count.

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
    numbers = NUMBERS

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: AnyGroups | None = None,
        distance: float = DISTANCE,
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
        for name, count in vars(BoundaryCounts.zeros(num_classes)).items():
            self.add_state(name, count, dist_reduce_fx="sum")

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
        counts = BoundaryCounts.of_maps(predicted, truth, self.num_classes, self.distance)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        for name, count in vars(counts).items():
            setattr(self, name, getattr(self, name) + count)

    def result_of(self, *states: Tensor) -> BoundaryResult:
        """Scores of the counts."""
        return BoundaryResult.from_counts(BoundaryCounts(*states), self.groups)
