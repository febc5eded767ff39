"""CrossEntropyLoss: the pixel or point loss every method starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.labels import check_labels, check_num_classes, check_shapes, fold_ignored, is_checkable

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


class CrossEntropyLoss(nn.Module):
    """Mean cross entropy over the labelled pixels or points.

    As ``torch.nn.CrossEntropyLoss``, save that logits smaller than the labels are resized to
    them, and that a batch without any label gives zero, connected to the graph, instead of NaN.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def __init__(self, num_classes: int, *, ignore_index: int = 255) -> None:
        super().__init__()
        check_num_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """Scalar loss of one batch.

        Args:
            logits: (B, K, *spatial) or (N, K); (V, K) voxels with an ``inverse`` map.
            labels: (B, *Spatial) of the same or a larger size, or (N,).
            inverse: (N,) int64, the voxel of each labelled point: the mean is then over points,
                whose logits are never formed.

        Raises:
            TypeError: If dtypes are wrong.
            ValueError: If shapes disagree, or (on eager CPU tensors) a label is out of range.
        """
        check_shapes(logits, labels, inverse)
        if logits.shape[1] != self.num_classes:
            raise ValueError(
                f"logits must have num_classes={self.num_classes} channels, got {logits.shape[1]}"
            )
        if is_checkable(labels):
            check_labels(labels, self.num_classes, self.ignore_index)
        if logits.dtype != torch.float64:
            logits = logits.float()  # a sum over a batch overflows half precision
        if logits.shape[2:] != labels.shape[1:]:
            logits = F.interpolate(logits, labels.shape[1:], mode=_MODES[labels.ndim - 1])
        targets = fold_ignored(labels, self.num_classes, self.ignore_index)
        known = targets < self.num_classes
        if inverse is None:
            total = F.cross_entropy(logits, targets, ignore_index=self.num_classes, reduction="sum")
        else:
            likelihoods = F.log_softmax(logits, 1)[inverse, targets.clamp(max=self.num_classes - 1)]
            total = -torch.where(known, likelihoods, 0).sum()
        return total / known.sum().clamp(min=1)
