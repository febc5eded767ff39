"""The confusion matrix of predictions."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.metrics.predictions import checked_pair


def count_confusion(
    predictions: Tensor, labels: Tensor, num_classes: int, *, ignore_index: int = 255
) -> Tensor:
    """Count the labelled pixels of each class by the class that is predicted.

    Args:
        predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial), which are resized
            to the labels (linearly, corners not aligned) when their sizes differ.
        labels: (B, *spatial) or (N,) integer ids.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Returns:
        (K, K) int64, rows the labels, columns the predictions.

    Raises:
        TypeError: If class ids or labels are not integers.
        ValueError: If shapes disagree, or (checked on CPU tensors) a value is out of range.
    """
    predicted, truth = checked_pair(predictions, labels, num_classes, ignore_index)
    # Row K of this matrix takes the pixels without a label, and is dropped.
    cell = (truth * num_classes + predicted).flatten()
    cells = num_classes**2
    counts = torch.bincount(cell, minlength=cells + num_classes)[:cells]
    return counts.view(num_classes, num_classes)
