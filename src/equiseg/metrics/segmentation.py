"""SegmentationScore: IoU and accuracy from one confusion matrix over a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.means import mean_known
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric, named_ignore_index

_NUMBERS = (
    *("miou", "mean_accuracy", "pixel_accuracy", "head", "common", "tail"),
    *("head_accuracy", "common_accuracy", "tail_accuracy"),
)


@dataclass(frozen=True)
class Score:
    """Scores of one data set, as fractions; NaN where there is nothing to score.

    A class that is neither labelled nor predicted is NaN and left out of every mean. A class that
    is predicted but never labelled has IoU 0 and no accuracy; with ``labelled_only`` it is NaN and
    left out, too.

    Attributes:
        iou_K: (K,) float64 intersection over union.
        accuracy_K: (K,) float64 recall: the share of the pixels of a class that are predicted.
        miou: Mean of ``iou_K`` over ``num_iou`` classes.
        mean_accuracy: Mean of ``accuracy_K`` over ``num_accuracy`` classes.
        pixel_accuracy: Share of all labelled pixels that are predicted correctly.
        head: Mean IoU of the head classes; ``common`` and ``tail`` likewise.
        common: See ``head``.
        tail: See ``head``.
        head_accuracy: Mean accuracy of the head classes; the other two likewise.
        common_accuracy: See ``head_accuracy``.
        tail_accuracy: See ``head_accuracy``.
        num_iou: Number of classes in ``miou``.
        num_accuracy: Number of classes in ``mean_accuracy``.
        num_head: Number of classes in ``head``; the other two likewise.
        num_common: See ``num_head``.
        num_tail: See ``num_head``.
        groups: The classes of each group.
    """

    iou_K: Tensor
    accuracy_K: Tensor
    miou: float
    mean_accuracy: float
    pixel_accuracy: float
    head: float
    common: float
    tail: float
    head_accuracy: float
    common_accuracy: float
    tail_accuracy: float
    num_iou: int
    num_accuracy: int
    num_head: int
    num_common: int
    num_tail: int
    groups: FrequencyGroups

    @classmethod
    def from_confusion(
        cls,
        confusion_KK: Tensor,
        groups: FrequencyGroups | None = None,
        *,
        labelled_only: bool = False,
    ) -> Score:
        """Scores of a confusion matrix.

        Args:
            confusion_KK: (K, K) counts, rows the labels, columns the predictions.
            groups: Head, common and tail; None takes thirds of the labels counted here.
            labelled_only: Leave classes without a label out of every mean, also if they are
                predicted. The predictions still count as errors of the classes that were labelled.
        """
        confusion = confusion_KK.double().cpu()
        hit, labelled, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        iou_K = hit / (labelled + predicted - hit)  # 0 / 0 is the NaN that is meant
        accuracy_K = hit / labelled
        if labelled_only:
            iou_K = iou_K.masked_fill(labelled == 0, torch.nan)
        groups = groups or FrequencyGroups.from_counts(labelled)
        means: dict[str, Any] = {}
        for name, ids in groups:
            chosen = torch.tensor(ids, dtype=torch.int64)
            means[name], means[f"num_{name}"] = mean_known(iou_K[chosen])
            means[f"{name}_accuracy"], _ = mean_known(accuracy_K[chosen])
        miou, num_iou = mean_known(iou_K)
        mean_accuracy, num_accuracy = mean_known(accuracy_K)
        return cls(
            iou_K=iou_K,
            accuracy_K=accuracy_K,
            miou=miou,
            mean_accuracy=mean_accuracy,
            pixel_accuracy=float(hit.sum() / labelled.sum()),
            num_iou=num_iou,
            num_accuracy=num_accuracy,
            groups=groups,
            **means,
        )

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The scores by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``iou/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.

        Example:
            >>> score = Score.from_confusion(torch.tensor([[3, 1], [0, 4]]))
            >>> numbers = score.as_dict(["road", "car"])
            >>> round(numbers["miou"], 3), numbers["iou/car"]
            (0.775, 0.8)
        """
        if classes and len(classes) != len(self.iou_K):
            raise ValueError(
                f"classes must name the {len(self.iou_K)} classes, got {len(classes)} names"
            )
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        ious = self.iou_K.tolist() if classes else ()
        return numbers | {f"iou/{c}": iou for c, iou in zip(classes, ious, strict=True)}

    def miou_without(self, class_id: int) -> float:
        """Mean IoU over all classes except one, such as the background."""
        others = torch.arange(len(self.iou_K)) != class_id
        return mean_known(self.iou_K[others])[0]


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
    numbers = _NUMBERS
    confusion_KK: Tensor

    def __init__(
        self,
        num_classes: int,
        *positional: int,
        ignore_index: int = 255,
        groups: FrequencyGroups
        | Mapping[str, Sequence[int]]
        | Tensor
        | Sequence[int]
        | None = None,
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
        predicted, truth = checked_pair(predictions, labels, self.num_classes, self.ignore_index)
        # Row K of this matrix takes the pixels without a label, and is dropped.
        cell = (truth * self.num_classes + predicted).flatten()
        cells = self.num_classes**2
        counts = torch.bincount(cell, minlength=cells + self.num_classes)[:cells]
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        self.confusion_KK = self.confusion_KK + counts.view(self.num_classes, self.num_classes)

    def result_of(self, *states: Tensor) -> Score:
        """Scores of the confusion matrix."""
        (confusion_KK,) = states
        return Score.from_confusion(confusion_KK, self.groups, labelled_only=self.labelled_only)
