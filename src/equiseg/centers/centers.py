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

from equiseg.centers.label_sides import (
    LabelSide,
    count_in_voxels,
    narrowest_dtype,
    transpose_labels,
)
from equiseg.centers.operators import sums_over_labels, sums_over_side
from equiseg.centers.sums import Labelling, dense_sums, row_sums
from equiseg.centers.tiles import sum_dtype
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
    labelling = Labelling(labels, num_classes, ignore_index, align_corners, inverse)
    return mean_by_class(features, labelling, label_side, process_group, checked=False)


def mean_by_class(
    features: Tensor,
    labelling: Labelling,
    label_side: LabelSide | None = None,
    process_group: Any = None,
    *,
    checked: bool = True,
) -> ClassCenters:
    """:func:`class_centers` for inputs of checked shapes and dtypes.

    Args:
        features: As in :func:`class_centers`.
        labelling: The labels, and how they map to the features.
        label_side: As in :func:`class_centers`; checked against the features here.
        process_group: As in :func:`class_centers`.
        checked: Whether the label values are checked too; otherwise they are here.

    Raises:
        ValueError: If ``label_side`` was made for other maps or (on eager CPU tensors) a label is
            out of range.
    """
    if label_side is not None:
        _check_side(label_side, features, labelling)
    with torch.autocast(features.device.type, enabled=False):
        sums_KD, counts_K = _sums_and_counts(features, labelling, label_side, checked)
        if process_group is not None:
            sums_KD, counts_K = sum_over_ranks(sums_KD, counts_K, process_group)
        centers_KD = sums_KD / counts_K.clamp(min=1).to(sums_KD.dtype).unsqueeze(1)
    return ClassCenters(centers_KD, counts_K, counts_K > 0)


def _sums_and_counts(
    features: Tensor, labelling: Labelling, side: LabelSide | None, checked: bool
) -> tuple[Tensor, Tensor]:
    """The (K, D) sums by the route for this device, and the (K,) counts."""
    labels, num_classes, ignore_index, align_corners, inverse = labelling
    eager = is_checkable(labels)
    compiled = torch.compiler.is_compiling() and labels.device.type == "cpu"
    if side is None and not (eager or compiled):
        counts_K = count_labels(labels, num_classes, ignore_index=ignore_index)
        return dense_sums(features, labelling, None), counts_K
    if side is None and eager and features.ndim == 2 and not checked:
        check_labels(labels, num_classes, ignore_index=ignore_index)
    if side is None and features.ndim == 2 and inverse is None:
        ids = fold_ignored(labels, num_classes, ignore_index)
        counts_K = count_labels(labels, num_classes, ignore_index=ignore_index)
        return row_sums(features, ids, num_classes), counts_K
    if side is None and compiled:
        ids = fold_ignored(labels, num_classes, ignore_index)
        ids = ids.to(narrowest_dtype(num_classes, num_classes))
        return sums_over_labels(features, ids, num_classes, align_corners, inverse)
    if side is None:
        side = _side_of(features, labelling, checked)
    if eager or compiled:
        return sums_over_side(features, side), side.counts_K
    return dense_sums(features, labelling, side), side.counts_K


def _side_of(features: Tensor, labelling: Labelling, checked: bool) -> LabelSide:
    """The label side of labels on the CPU."""
    labels, num_classes, ignore_index, align_corners, inverse = labelling
    dtype = sum_dtype(features)
    if inverse is not None:
        voxels = len(features)
        return count_in_voxels(labels, inverse, voxels, num_classes, ignore_index, dtype)
    size = tuple(features.shape[2:])
    return transpose_labels(
        labels, num_classes, size, ignore_index, align_corners, dtype, checked=checked
    )


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
