"""Score: IoU and accuracy of a confusion matrix, over all classes and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.means import by_class_name, mean_known

NUMBERS = (
    *("miou", "mean_accuracy", "pixel_accuracy", "head", "common", "tail"),
    *("head_accuracy", "common_accuracy", "tail_accuracy"),
)
"""Names of the numbers that one score is asked for."""


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
        numbers = {name: getattr(self, name) for name in NUMBERS}
        return numbers | by_class_name("iou", self.iou_K, classes)

    def miou_without(self, class_id: int) -> float:
        """Mean IoU over all classes except one, such as the background."""
        others = torch.arange(len(self.iou_K)) != class_id
        return mean_known(self.iou_K[others])[0]
