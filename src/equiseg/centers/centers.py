"""Class centers: the mean feature of every class, from small feature maps and full-size labels.

Upsampling is linear, so the mean over the label pixels of class k of the resized features is
``sum_u S_k(u) f(u) / n_k``: S is the transpose of the resize applied to the labels
(``label_sides``), u runs over the cells of the small map. S depends only on the labels. No tensor
of size (C, H, W) or (K, H, W) is formed, and the features are read once at their own resolution
(``sums``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from equiseg.centers.label_sides import LabelSide, count_in_voxels, transpose_labels
from equiseg.centers.sums import Labelling, dense_sums, row_sums, sparse_sums, sum_dtype
from equiseg.labels import (
    check_labels,
    check_num_classes,
    check_shapes,
    count_labels,
    fold_ignored,
    is_checkable,
)
from equiseg.ranks import sum_over_ranks


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


def class_centers(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    inverse: Tensor | None = None,
    label_side: LabelSide | None = None,
    process_group: Any = None,
) -> ClassCenters:
    """Mean feature of every class over the batch, as if features were resized to the labels.

    Equal to ``F.interpolate(features, labels.shape[1:], mode="bilinear")`` followed by a masked
    mean, to float rounding, for any size ratio (linear and trilinear in 1D and 3D).
    Differentiable in the features (once); sums run in float32 under any autocast; works with
    ``torch.compile(fullgraph=True)``. The same input gives the same bits (on a GPU by construction,
    not tested so far). On a GPU the sums are a matrix product, in float32 unless
    ``torch.set_float32_matmul_precision`` has lowered the precision: "high" rounds features and
    weights to 10 bits. Features must be finite, also where labels are ignored: infinity times a
    weight of zero is NaN.

    Args:
        features: (B, D, *spatial) maps with one to three spatial dimensions, (N, D) points, or
            (V, D) voxels with an ``inverse`` map.
        labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,). Values are
            checked on eager CPU tensors; elsewhere values out of range are ignored, so call
            :func:`equiseg.check_labels` once when loading.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize, as in ``F.interpolate``. Current segmentation
            code uses False; the code published with CeCo uses True.
        inverse: (N,) int64, the row of ``features`` of each labelled point (its voxel). The centers
            are then the exact means over the points, from counts per voxel; no feature is copied.
        label_side: The result of :func:`equiseg.label_side` (or :func:`equiseg.voxel_side`) for
            these labels, to skip that work. Only its shapes are checked, not its labels. None for
            points without voxels.
        process_group: Average over the ranks of this group, with gradient. None: this rank only.

    Returns:
        Centers, counts and presence (see :class:`ClassCenters`).

    Raises:
        TypeError: If the features are not floating point or the labels not integers.
        ValueError: If shapes disagree, labels are smaller than the features, a label is out of
            range, ``inverse`` is out of range, or ``label_side`` was made for other maps.

    Examples:
        Two points of class 0, one of class 1, one ignored:

        >>> import torch
        >>> from equiseg import class_centers
        >>> features = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
        >>> centers_KD, counts_K, present_K = class_centers(
        ...     features, torch.tensor([0, 0, 1, 255]), num_classes=3
        ... )
        >>> centers_KD.tolist()
        [[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]
        >>> counts_K.tolist(), present_K.tolist()
        ([2, 1, 0], [True, True, False])
    """
    check_num_classes(num_classes, ignore_index)
    check_shapes(features, labels, inverse)
    if label_side is None and is_checkable(labels):
        check_labels(labels, num_classes, ignore_index=ignore_index)
    labelling = Labelling(labels, num_classes, ignore_index, align_corners, inverse)
    return mean_by_class(features, labelling, label_side, process_group)


def mean_by_class(
    features: Tensor,
    labelling: Labelling,
    label_side: LabelSide | None = None,
    process_group: Any = None,
) -> ClassCenters:
    """:func:`class_centers` for inputs that are already checked.

    Args:
        features: As in :func:`class_centers`.
        labelling: The labels, and how they map to the features.
        label_side: As in :func:`class_centers`; checked against the features here.
        process_group: As in :func:`class_centers`.

    Raises:
        ValueError: If ``label_side`` was made for other maps.
    """
    labels, num_classes, ignore_index, align_corners, inverse = labelling
    if label_side is not None:
        _check_side(label_side, features, labelling)
    with torch.autocast(features.device.type, enabled=False):
        dtype = sum_dtype(features)
        if label_side is None and is_checkable(labels):
            if inverse is not None:
                label_side = count_in_voxels(
                    labels, inverse, len(features), num_classes, ignore_index, dtype
                )
            elif features.ndim > 2:
                size = tuple(features.shape[2:])
                label_side = transpose_labels(
                    labels, num_classes, size, ignore_index, align_corners, dtype
                )
        on_cpu = features.device.type == "cpu"
        if label_side is not None and is_checkable(labels):
            sums_KD = sparse_sums(features, label_side)
        elif inverse is None and labels.shape[1:] == features.shape[2:] and on_cpu:
            ids = fold_ignored(labels, num_classes, ignore_index)
            sums_KD = row_sums(features, ids, num_classes)
        else:
            sums_KD = dense_sums(features, labelling, label_side)
        if label_side is None:
            counts_K = count_labels(labels, num_classes, ignore_index=ignore_index)
        else:
            counts_K = label_side.counts_K
        if process_group is not None:
            sums_KD, counts_K = sum_over_ranks(sums_KD, counts_K, process_group)
        centers_KD = sums_KD / counts_K.clamp(min=1).to(sums_KD.dtype).unsqueeze(1)
    return ClassCenters(centers_KD, counts_K, counts_K > 0)


def _check_side(side: LabelSide, features: Tensor, labelling: Labelling) -> None:
    num_classes, ignore_index = labelling.num_classes, labelling.ignore_index
    align_corners = labelling.align_corners and features.ndim > 2  # voxels are not resized
    if (side.ignore_index, side.align_corners) != (ignore_index, align_corners):
        raise ValueError(
            f"label_side was made with ignore_index={side.ignore_index} and "
            f"align_corners={side.align_corners}, got {ignore_index} and {align_corners}; pass "
            "the same to both"
        )
    maps = (features.shape[0], *features.shape[2:])
    if maps != side.feature_shape or len(side.counts_K) != num_classes:
        raise ValueError(
            f"label_side was made for {len(side.counts_K)} classes on maps {side.feature_shape}, "
            f"got {num_classes} classes on {maps}; make a new one with equiseg.label_side"
        )
    if side.cell_E.device != features.device:
        raise ValueError(
            f"label_side and features must be on one device, got {side.cell_E.device} and "
            f"{features.device}; move it with label_side.to(features.device)"
        )
