"""Class centers: the mean feature of every class, from small feature maps and full-size labels.

Upsampling is linear, so the mean over the label pixels of class k of the resized features is
``sum_u S_k(u) f(u) / n_k``: S is the transpose of the resize applied to the labels, u runs over
the cells of the small map. S depends on the labels alone. Nothing of size (C, H, W) or (K, H, W)
is ever formed, and the features are read once at their own resolution.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from equiseg.labels import (
    check_labels,
    check_num_classes,
    check_shapes,
    count_labels,
    fold_ignored,
    is_checkable,
)


class ClassCenters(NamedTuple):
    """The mean feature of every class.

    Attributes:
        centers_KD: (K, D) means in float32 (float64 for float64 features); absent rows are zero.
        counts_K: (K,) int64, valid label pixels or points of each class.
        present_K: (K,) bool, ``counts_K > 0``.
    """

    centers_KD: Tensor
    counts_K: Tensor
    present_K: Tensor


@dataclass(frozen=True)
class LabelSide:
    """The half of the class centers that needs no features: S as a sparse list of entries.

    Entry e says that class ``class_E[e]`` puts ``weight_E[e]`` on feature cell ``cell_E[e]``, cells
    counted over the whole batch. Made by :func:`label_side`, once for labels that do not change.

    Attributes:
        class_E: (E,) int64.
        cell_E: (E,) int64 in 0..B*h*w-1.
        weight_E: (E,) float32.
        counts_K: (K,) int64, valid label pixels of each class.
        feature_shape: (B, *spatial) of the feature maps these labels meet.
        ignore_index: The label value left out.
        align_corners: The convention of the resize.
    """

    class_E: Tensor
    cell_E: Tensor
    weight_E: Tensor
    counts_K: Tensor
    feature_shape: tuple[int, ...]
    ignore_index: int
    align_corners: bool

    def to(self, device: torch.device | str) -> LabelSide:
        """The same entries on another device."""
        return replace(
            self,
            class_E=self.class_E.to(device),
            cell_E=self.cell_E.to(device),
            weight_E=self.weight_E.to(device),
            counts_K=self.counts_K.to(device),
        )


def class_centers(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    label_side: LabelSide | None = None,
    process_group: Any = None,
) -> ClassCenters:
    """Mean, per class over the whole batch, of the features resized to the labels' size.

    Equal to ``F.interpolate(features, labels.shape[1:], mode="bilinear")`` followed by a masked
    mean, to float rounding, for any size ratio (linear and trilinear in 1D and 3D).
    Differentiable in the features; sums run in float32 under any autocast; traced by
    ``torch.compile(fullgraph=True)``. Features must be finite, also where labels are ignored: an
    infinite one times a weight of zero is NaN.

    Args:
        features: (B, D, *spatial) maps with one to three spatial dimensions, or (N, D) points.
        labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,). Values are
            checked on eager CPU tensors; elsewhere call :func:`equiseg.check_labels` once when
            loading, for a value out of range is left out there.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize, as in ``F.interpolate``. False is what
            today's segmentation code uses; the code published with CeCo uses True.
        label_side: What :func:`equiseg.label_side` made of these same labels, to skip that work.
        process_group: Average over the ranks of this group, with gradient. None stays local.

    Returns:
        Centers, counts and presence (see :class:`ClassCenters`).

    Raises:
        TypeError: If the features are not floating point or the labels not integers.
        ValueError: If shapes disagree, labels are smaller than the features, a label is out of
            range, or ``label_side`` was made for other maps.
    """
    check_num_classes(num_classes, ignore_index)
    check_shapes(features, labels)
    with torch.autocast(features.device.type, enabled=False):
        features = features.to(_sum_dtype(features))
        if label_side is not None:
            if (label_side.ignore_index, label_side.align_corners) != (ignore_index, align_corners):
                raise ValueError(
                    f"label_side was made with ignore_index={label_side.ignore_index} and "
                    f"align_corners={label_side.align_corners}, got {ignore_index} and "
                    f"{align_corners}; pass the same to both"
                )
            counts_K = label_side.counts_K
            sums_KD = _sums_from_entries(features, label_side, num_classes)
        else:
            if is_checkable(labels):
                check_labels(labels, num_classes, ignore_index)
            counts_K = count_labels(labels, num_classes, ignore_index)
            ids = fold_ignored(labels, num_classes, ignore_index)
            if labels.shape[1:] == features.shape[2:]:
                sums_KD = _sums_at_equal_size(features, ids, num_classes)
            else:
                weights = _cell_weights(ids, num_classes, features, align_corners)
                sums_KD = torch.bmm(weights, features.flatten(2).transpose(1, 2)).sum(0)
        if process_group is not None:
            sums_KD = _SumOverRanks.apply(sums_KD, process_group)  # type: ignore[no-untyped-call]
            counts_K = counts_K.clone()
            dist.all_reduce(counts_K, group=process_group)
        centers_KD = sums_KD / counts_K.clamp(min=1).to(sums_KD.dtype).unsqueeze(1)
    return ClassCenters(centers_KD, counts_K, counts_K > 0)


def label_side(
    labels: Tensor,
    num_classes: int,
    feature_size: tuple[int, ...],
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> LabelSide:
    """Prepare the labels' half of :func:`class_centers` ahead of the features.

    Keeps only the entries that are not zero, so its size follows the class borders, and its shape
    the data: make it where that is no trouble (a data worker, a cache of fixed labels).

    Args:
        labels: (B, *Spatial) integer ids, checked.
        num_classes: Number of classes K.
        feature_size: Spatial size of the feature maps, each side at most the labels'.
        ignore_index: Label value to leave out.
        align_corners: As in :func:`class_centers`.

    Returns:
        The label side, for ``class_centers(..., label_side=...)``.

    Raises:
        ValueError: If ``feature_size`` does not fit under the labels or a label is out of range.
    """
    check_labels(labels, num_classes, ignore_index)
    like = torch.empty((labels.shape[0], 1, *feature_size), device=labels.device)
    check_shapes(like, labels)
    ids = fold_ignored(labels, num_classes, ignore_index)
    weights_BKU = _cell_weights(ids, num_classes, like, align_corners)
    image_E, class_E, cell_E = weights_BKU.nonzero(as_tuple=True)
    return LabelSide(
        class_E,
        image_E * weights_BKU.shape[2] + cell_E,
        weights_BKU[image_E, class_E, cell_E],
        count_labels(labels, num_classes, ignore_index),
        (labels.shape[0], *feature_size),
        ignore_index,
        align_corners,
    )


def _sum_dtype(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _sums_at_equal_size(features: Tensor, ids: Tensor, num_classes: int) -> Tensor:
    """(K, D) sums where every label has a feature of its own: points, or maps at label size."""
    rows_ND = features.movedim(1, -1).reshape(-1, features.shape[1])
    sums = rows_ND.new_zeros(num_classes + 1, features.shape[1])
    return sums.index_add(0, ids.flatten(), rows_ND)[:num_classes]


def _sums_from_entries(features: Tensor, side: LabelSide, num_classes: int) -> Tensor:
    """(K, D) sums from a sparse label side: one gather and one segment sum."""
    maps = (features.shape[0], *features.shape[2:])
    if maps != side.feature_shape or len(side.counts_K) != num_classes:
        raise ValueError(
            f"label_side was made for {len(side.counts_K)} classes on maps {side.feature_shape}, "
            f"got {num_classes} classes on {maps}; make it anew with equiseg.label_side"
        )
    rows_UD = features.movedim(1, -1).reshape(-1, features.shape[1])
    weighted = rows_UD[side.cell_E] * side.weight_E.to(features.dtype).unsqueeze(1)
    sums = rows_UD.new_zeros(num_classes, features.shape[1])
    return sums.index_add(0, side.class_E, weighted)


@torch.no_grad()
def _cell_weights(ids: Tensor, num_classes: int, features: Tensor, align_corners: bool) -> Tensor:
    """S, the transpose of the resize applied to the labels, as (B, K, cells) in the sum's dtype.

    Each label pixel puts its interpolation weights on the 2 (1D), 4 (2D) or 8 (3D) cells it would
    have been interpolated from. Ignored pixels fall into row K, which is cut off.
    """
    batch, feature_size, label_size = ids.shape[0], features.shape[2:], ids.shape[1:]
    axes = [
        _axis_weights(small, large, align_corners, ids.device)
        for small, large in zip(feature_size, label_size, strict=True)
    ]
    cells = feature_size.numel()
    image = torch.arange(batch, device=ids.device).view(-1, *[1] * len(label_size))
    row = (image * (num_classes + 1) + ids) * cells
    weights = features.new_zeros(batch * (num_classes + 1) * cells)
    for corner in itertools.product((0, 1), repeat=len(axes)):
        # Outer product over the axes, first axis outermost.
        cell = torch.zeros((), dtype=torch.int64, device=ids.device)
        share = torch.ones((), dtype=torch.float64, device=ids.device)
        for side, (indices, axis_weights), small in zip(corner, axes, feature_size, strict=True):
            cell = cell.unsqueeze(-1) * small + indices[side]
            share = share.unsqueeze(-1) * axis_weights[side]
        value = share.to(weights.dtype).expand(ids.shape).flatten()
        weights.index_add_(0, (row + cell).flatten(), value)
    return weights.view(batch, num_classes + 1, cells)[:, :num_classes]


def _axis_weights(
    small: int, large: int, align_corners: bool, device: torch.device
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Along one axis: the two source cells of every label position, and their weights.

    The rule of ``F.interpolate``: sources before the first cell are clamped to it, and past the
    last cell both neighbours are the last.
    """
    position = torch.arange(large, device=device, dtype=torch.float64)
    if align_corners:
        source = position * ((small - 1) / (large - 1) if large > 1 else 0.0)
    else:
        source = ((position + 0.5) * (small / large) - 0.5).clamp(min=0)
    lower = source.floor().clamp(max=small - 1)
    upper_weight = source - lower
    upper = (lower + 1).clamp(max=small - 1)
    return (lower.long(), upper.long()), (1 - upper_weight, upper_weight)


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose backward is an all-reduce too.

    Every rank holds the same loss, so the gradients of the N copies add up to N times the
    single-process one; DDP's mean over ranks divides by N again.
    """

    @staticmethod
    def forward(ctx: Any, local: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = local.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None
