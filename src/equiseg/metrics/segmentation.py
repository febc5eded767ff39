"""SegmentationScore: one confusion matrix over a data set, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import (
    check_label_dtype,
    check_labels,
    check_num_classes,
    fold_ignored,
    is_checkable,
)
from equiseg.resize import LINEAR_MODES

try:
    from torchmetrics import Metric
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(
        'SegmentationScore needs torchmetrics: pip install "equiseg[metrics]"'
    ) from error


@dataclass(frozen=True)
class Score:
    """Scores of one data set, as fractions; NaN where nothing is covered.

    A class neither labelled nor predicted is NaN and left out of every mean; a class predicted
    but never labelled has IoU 0 and no accuracy.

    Attributes:
        iou_K: (K,) float64 intersection over union.
        accuracy_K: (K,) float64 recall: the share of a class's pixels that were found.
        miou: Mean of ``iou_K`` over ``num_iou`` classes.
        mean_accuracy: Mean of ``accuracy_K`` over ``num_accuracy`` classes.
        pixel_accuracy: Share of all labelled pixels that are right.
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
    def from_confusion(cls, confusion_KK: Tensor, groups: FrequencyGroups | None = None) -> Score:
        """Scores of a confusion matrix.

        Args:
            confusion_KK: (K, K) counts, rows the labels, columns the predictions.
            groups: Head, common and tail; None takes thirds of the labels counted here.
        """
        confusion = confusion_KK.double().cpu()
        hit, labelled, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
        iou_K = hit / (labelled + predicted - hit)  # 0 / 0 is the NaN that is meant
        accuracy_K = hit / labelled
        groups = groups or FrequencyGroups.from_counts(labelled)
        means: dict[str, Any] = {}
        for name, ids in groups:
            chosen = torch.tensor(ids, dtype=torch.int64)
            means[name], means[f"num_{name}"] = _mean(iou_K[chosen])
            means[f"{name}_accuracy"], _ = _mean(accuracy_K[chosen])
        miou, num_iou = _mean(iou_K)
        mean_accuracy, num_accuracy = _mean(accuracy_K)
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

    def miou_without(self, class_id: int) -> float:
        """Mean IoU over the other classes, where one is only the background."""
        others = torch.arange(len(self.iou_K)) != class_id
        return _mean(self.iou_K[others])[0]


class SegmentationScore(Metric):
    """Dataset-level IoU and accuracy, for all classes and for head, common and tail.

    Counts every labelled pixel of the data set into one (K, K) int64 matrix, summed over ranks:
    the mean IoU is of the data set, not of its images.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail: a :class:`FrequencyGroups`, a mapping of the three names to
            class ids, or (K,) training class counts to cut into thirds. None takes thirds of
            the label counts seen, which on a small test set need not be those of training.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If ``num_classes`` or ``ignore_index`` cannot work, or the groups name a class
            that does not exist.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion_KK: Tensor

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        groups: FrequencyGroups
        | Mapping[str, Sequence[int]]
        | Tensor
        | Sequence[int]
        | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = as_groups(groups, num_classes)
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
        check_label_dtype(labels)
        if predictions.is_floating_point():
            logits = resized_logits(predictions, labels, self.num_classes)
            predicted = logits.max(1).indices  # as argmax(1), which is slower on CPUs
        else:
            predicted = checked_ids(predictions, labels, self.num_classes)
        if is_checkable(labels):
            check_labels(labels, self.num_classes, self.ignore_index)
        # Row K of this matrix takes the pixels without a label, and is dropped.
        truth = fold_ignored(labels, self.num_classes, self.ignore_index)
        cell = (truth * self.num_classes + predicted).flatten()
        cells = self.num_classes**2
        counts = torch.bincount(cell, minlength=cells + self.num_classes)[:cells]
        # Not in place: what inference mode made could not be added to outside of it.
        self.confusion_KK = self.confusion_KK + counts.view(self.num_classes, self.num_classes)

    def compute(self) -> Score:
        """Scores of everything counted so far."""
        return Score.from_confusion(self.confusion_KK, self.groups)

    def _wrap_compute(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        # torchmetrics synchronises and caches what `compute` returns by rebuilding its fields,
        # which a frozen dataclass refuses: let it have the matrix, and score that.
        synchronised = super()._wrap_compute(lambda: self.confusion_KK)
        return lambda: Score.from_confusion(synchronised(), self.groups)


def resized_logits(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Logits (B, K, *spatial) at the size of the labels, linearly, corners not aligned.

    Raises:
        ValueError: If their shape is not that of K classes for these labels.
    """
    fits = logits.ndim == labels.ndim + 1 and labels.ndim <= 1 + max(LINEAR_MODES)
    if not fits or logits.shape[:2] != (len(labels), num_classes):
        raise ValueError(
            f"predictions as logits must be (B, {num_classes}, *spatial) for labels "
            f"(B, *spatial), got {tuple(logits.shape)} for {tuple(labels.shape)}; "
            "class ids must be integers"
        )
    if logits.shape[2:] == labels.shape[1:]:
        return logits
    return F.interpolate(logits, labels.shape[1:], mode=LINEAR_MODES[labels.ndim - 1])


def checked_ids(ids: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Predicted class ids as int64.

    Raises:
        TypeError: If they are no integers.
        ValueError: If they are not shaped as the labels, or (checked on CPU tensors) one is no
            class.
    """
    if ids.shape != labels.shape:
        raise ValueError(
            "predictions as class ids must be shaped as the labels, got "
            f"{tuple(ids.shape)} and {tuple(labels.shape)}; logits, which are resized, "
            "must be floating point"
        )
    if ids.dtype == torch.bool or ids.is_complex():
        raise TypeError(
            "predictions must be integer class ids or floating-point logits, got dtype "
            f"{ids.dtype}; convert ids with predictions.long()"
        )
    ids = ids.long()
    if is_checkable(ids) and ids.numel():
        least, most = (int(value) for value in ids.aminmax())
        if least < 0 or most >= num_classes:
            raise ValueError(
                f"predictions must be class ids 0..{num_classes - 1}, got values from "
                f"{least} to {most}; every pixel needs a class, also where the label is ignored"
            )
    return ids


def _mean(values: Tensor) -> tuple[float, int]:
    known = values[~values.isnan()]
    return (float(known.mean()) if len(known) else float("nan")), len(known)


def as_groups(
    groups: FrequencyGroups | Mapping[str, Sequence[int]] | Tensor | Sequence[int] | None,
    num_classes: int,
) -> FrequencyGroups | None:
    """Groups from any of the ways to say them; None stays None.

    Raises:
        ValueError: If they name no class of the ``num_classes``, or miss one of the three names.
    """
    if groups is None:
        return None
    if isinstance(groups, Mapping):
        groups = FrequencyGroups.from_mapping(groups)
    elif not isinstance(groups, FrequencyGroups):
        counts = torch.as_tensor(groups)
        if counts.shape != (num_classes,):
            raise ValueError(
                f"groups as class counts must have shape ({num_classes},), got "
                f"{tuple(counts.shape)}; groups by class id are a mapping with the keys head, "
                "common and tail"
            )
        groups = FrequencyGroups.from_counts(counts)
    beyond = [k for _, ids in groups for k in ids if k >= num_classes]
    if beyond:
        raise ValueError(
            f"groups must hold class ids 0..{num_classes - 1}, got {beyond}; remove them or raise "
            "num_classes"
        )
    return groups
