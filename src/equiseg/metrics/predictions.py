"""Predictions of a network: checks, resizing to the labels, confidences."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.labels import (
    check_label_dtype,
    check_labels,
    check_order,
    fold_ignored,
    is_checkable,
)
from equiseg.resize import LINEAR_MODES


def check_prediction_pair(predictions: Tensor, labels: Tensor, num_classes: int) -> None:
    """Raise an error for swapped arguments, labels that are not integers, and one-hot labels.

    Raises:
        TypeError: If the arguments are swapped or labels are not integers.
        ValueError: If they are one-hot: K channels, with a single 1 at most places.
    """
    for name, given, other in (
        ("labels", labels, predictions),
        ("predictions", predictions, labels),
    ):
        may_be = given.ndim > 1 and given.shape[1] == num_classes
        may_be &= other.ndim == given.ndim - 1 or other.shape == given.shape
        if name == "predictions" and given.is_floating_point():
            continue  # logits
        if may_be and is_checkable(given) and _one_hot(given):
            raise ValueError(
                f"{name} must be class ids, got one-hot {name} {tuple(given.shape)}; pass "
                f"{name}.argmax(1), with ignore_index where no channel is set"
            )
    check_order(predictions, labels, "predictions")
    check_label_dtype(labels)


def _one_hot(values: Tensor) -> bool:
    """Whether channels hold a single 1 at most places, and zeros elsewhere."""
    if not values.numel() or not bool(((values == 0) | (values == 1)).all()):
        return False
    set_ = (values != 0).sum(1)
    return bool((set_ <= 1).all()) and bool((set_ == 1).float().mean() >= 0.5)


def checked_pair(
    predictions: Tensor, labels: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Predicted and labelled class ids as int64; labels without a class become K.

    Args:
        predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial), which are resized
            to the labels (linearly, corners not aligned) when their sizes differ.
        labels: (B, *spatial) or (N,) integer ids.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        TypeError: If class ids or labels are not integers.
        ValueError: If shapes disagree, or (checked on CPU tensors) a value is out of range.
    """
    check_prediction_pair(predictions, labels, num_classes)
    if predictions.is_floating_point():
        logits = resized_logits(predictions, labels, num_classes)
        predicted = logits.max(1).indices  # as argmax(1), which is slower on CPUs
    else:
        predicted = checked_ids(predictions, labels, num_classes)
    if is_checkable(labels):
        check_labels(labels, num_classes, ignore_index=ignore_index)
    return predicted, fold_ignored(labels, num_classes, ignore_index)


def resized_logits(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Logits (B, K, *spatial) at the size of the labels, linearly, corners not aligned.

    Raises:
        ValueError: If their shape does not fit K classes and these labels.
    """
    fits = logits.ndim == labels.ndim + 1 and labels.ndim <= 1 + max(LINEAR_MODES)
    if not fits or logits.shape[:2] != (len(labels), num_classes):
        raise ValueError(
            f"predictions as logits must be (B, {num_classes}, *spatial) for labels "
            f"(B, *spatial), got {tuple(logits.shape)} for {tuple(labels.shape)}; class ids must "
            "be integers, and one-hot labels become class ids by labels.argmax(1)"
        )
    if logits.shape[2:] == labels.shape[1:]:
        return logits
    return F.interpolate(logits, labels.shape[1:], mode=LINEAR_MODES[labels.ndim - 1])


def checked_ids(ids: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Predicted class ids as int64.

    Raises:
        TypeError: If they are not integers.
        ValueError: If their shape differs from the labels, or (checked on CPU tensors) an id is
            not a class.
    """
    if ids.shape != labels.shape:
        raise ValueError(
            "predictions as class ids must be shaped as the labels, got "
            f"{tuple(ids.shape)} and {tuple(labels.shape)}; logits, which are resized, must be "
            "floating point, and one-hot predictions become class ids by predictions.argmax(1)"
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


def most_likely(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Class ids (B, *spatial) of the largest logits (B, K, *spatial), and their probabilities.

    Half precision is summed in float32.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    largest, ids = logits.max(1, keepdim=True)
    # The softmax at its largest entry, without the other K - 1.
    probabilities = (logits - largest).exp_().sum(1).reciprocal()
    return ids.squeeze(1), probabilities
