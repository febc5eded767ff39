"""SegmentationScore: IoU and accuracy from one confusion matrix over a data set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.groups import AnyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.confusion import count_confusion
from equiseg.metrics.score import NUMBERS, Score
from equiseg.metrics.summed_metric import SummedMetric, named_ignore_index


class SegmentationScore(SummedMetric[Score]):
    """Dataset-level IoU and accuracy, for all classes and for head, common and tail.

    It counts every labelled pixel of the data set in one (K, K) int64 matrix, summed over ranks:
    the mean IoU belongs to the data set; it is not a mean over images.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail: a :class:`FrequencyGroups`, a mapping of the three names to
            class ids, or (K,) training class counts to split into thirds. None splits the label
            counts seen by the metric, which on a small test set may differ from training.
        labelled_only: Leave classes that are never labelled out of every mean, also if they are
            predicted. The benchmark of ScanNet200 scores its validation scans so: 11 of its 200
            classes have no label there, and the means are over the other 189.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If ``num_classes`` or ``ignore_index`` cannot work, or the groups name a class
            that does not exist.

    Examples:
        >>> import torch
        >>> from equiseg import SegmentationScore
        >>> score = SegmentationScore(num_classes=3)
        >>> score.update(torch.tensor([[0, 0, 1, 2]]), torch.tensor([[0, 1, 1, 255]]))
        >>> result = score.compute()
        >>> result.miou, round(result.pixel_accuracy, 3)
        (0.5, 0.667)
    """

    higher_is_better = True
    numbers = NUMBERS
    confusion_KK: Tensor

    def __init__(
        self,
        num_classes: int,
        *positional: int,
        ignore_index: int = 255,
        groups: AnyGroups | None = None,
        labelled_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if positional:  # an older way to call it
            ignore_index = named_ignore_index(positional)
        check_num_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.labelled_only = labelled_only
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion_KK", zeros, dist_reduce_fx="sum")

    def update(self, predictions: Tensor, labels: Tensor) -> None:
        """Count one batch.

        Args:
            predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial), which are
                resized to the labels (linearly, corners not aligned) when their sizes differ.
            labels: (B, *spatial) or (N,) integer ids.

        Raises:
            TypeError: If class ids or labels are not integers.
            ValueError: If shapes disagree, or (checked on CPU tensors) a value is out of range.
        """
        counts_KK = count_confusion(
            predictions, labels, self.num_classes, ignore_index=self.ignore_index
        )
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        self.confusion_KK = self.confusion_KK + counts_KK

    def result_of(self, *states: Tensor) -> Score:
        """Scores of the confusion matrix."""
        (confusion_KK,) = states
        return Score.from_confusion(confusion_KK, self.groups, labelled_only=self.labelled_only)
