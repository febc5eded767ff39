"""The gradient of pixel cross entropy per class; shapes as in ``gradients.py``."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.collapse.gradients import BranchGradients, errors, norms
from equiseg.labels import check_num_classes, check_shapes, checked_counts
from equiseg.resize import axis_of, corners

_CHUNK_VALUES = 2**17  # scores of some pixels: 1 MB, a core's cache


@torch.no_grad()
def pixel_gradients(
    features: Tensor,
    labels: Tensor,
    weight_KD: Tensor,
    bias_K: Tensor | None = None,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    inverse: Tensor | None = None,
) -> BranchGradients:
    """The gradient of the mean pixel cross entropy of a batch, with logits resized to the labels.

    It runs image by image, some pixels at a time: no tensor of size (B, K, H, W) or (D, H, W) is
    formed.

    Args:
        features: (B, D, *spatial) input of the pixel classifier, (N, D) points, or (V, D) voxels
            with an ``inverse`` map.
        labels: (B, *Spatial) integer ids, each side at least the feature's, or (N,).
        weight_KD: (K, D) rows of the classifier; ``weight.flatten(1)`` for a 1x1 convolution.
        bias_K: (K,) bias of the classifier, if it has one.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize.
        inverse: (N,) int64, the voxel of each labelled point.

    Returns:
        Parts and masses (see :class:`BranchGradients`), zero without a valid pixel.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If the shapes disagree, the classifier does not fit the features, or a label is
            out of range.
    """
    num_classes = len(weight_KD)
    check_num_classes(num_classes, ignore_index)
    check_shapes(features, labels, inverse)
    _check_classifier(weight_KD, bias_K, features.shape[1])
    counts_K = checked_counts(labels, num_classes, ignore_index=ignore_index)
    weight_KD = weight_KD.detach().double()
    within_KD, between_KD = torch.zeros_like(weight_KD), torch.zeros_like(weight_KD)
    totals_4K = weight_KD.new_zeros(4, num_classes)  # mass, pull, push, error
    # Rows rotated into the space they span: norms do not change, and D numbers become K.
    turned_KR = torch.linalg.qr(weight_KD.T, mode="r").R.T
    for rows_UD, ids_P, cell_PC, weight_PC in _maps(
        features, labels, ignore_index, align_corners, inverse
    ):
        scores_UK = rows_UD @ weight_KD.T
        if bias_K is not None:
            scores_UK += bias_K.double()
        own_UK, others_UK = _score_gradients(
            scores_UK, ids_P, cell_PC, weight_PC, turned_KR, totals_4K
        )
        within_KD += own_UK.T @ rows_UD
        between_KD += others_UK.T @ rows_UD
    pixels = counts_K.sum().clamp(min=1)
    mass_K, pull_K, push_K = totals_4K[:3] / pixels
    error_K = totals_4K[3] / counts_K.clamp(min=1)
    present_K = (counts_K > 0).long()
    return BranchGradients(
        within_KD / pixels,
        between_KD / pixels,
        mass_K,
        pull_K,
        push_K,
        error_K,
        counts_K,
        present_K,
    )


def _check_classifier(weight_KD: Tensor, bias_K: Tensor | None, dim: int) -> None:
    num_classes = len(weight_KD)
    if weight_KD.shape != (num_classes, dim) or (bias_K is not None and len(bias_K) != num_classes):
        bias = "no bias" if bias_K is None else f"a bias {tuple(bias_K.shape)}"
        raise ValueError(
            f"weight must be (K, {dim}), one row per class for features of {dim} channels, with a "
            f"bias (K,) or none, got {tuple(weight_KD.shape)} with {bias}; pass weight.flatten(1) "
            "of a 1x1 convolution"
        )


def _score_gradients(
    scores_UK: Tensor,
    ids_P: Tensor,
    cell_PC: Tensor,
    weight_PC: Tensor,
    turned_KR: Tensor,
    totals_4K: Tensor,
) -> tuple[Tensor, Tensor]:
    """The transposed resize of the gradient on the scores of a map, some pixels at a time.

    Adds mass, pull, push and error of each class to ``totals_4K``.

    Returns:
        (U, K) gradients: at the labelled class, and at the other classes.
    """
    num_classes = scores_UK.shape[1]
    size = max(1, _CHUNK_VALUES // num_classes)
    own_UK, others_UK = torch.zeros_like(scores_UK), torch.zeros_like(scores_UK)
    for first in range(0, len(ids_P), size):
        chunk = slice(first, first + size)
        y_P, cell, weight = ids_P[chunk], cell_PC[chunk], weight_PC[chunk]
        scores_PK = F.embedding_bag(cell, scores_UK, per_sample_weights=weight, mode="sum")
        error_P, others_PK = errors(scores_PK, y_P)
        pull_PR = -error_P.unsqueeze(1) * turned_KR[y_P]
        push_PR = others_PK @ turned_KR
        norms_4P = torch.stack([*norms(pull_PR, push_PR), error_P])
        totals_4K.index_add_(1, y_P, norms_4P)
        for cell_P, weight_P in zip(cell.T, weight.T, strict=True):
            place_P = cell_P * num_classes + y_P
            own_UK.view(-1).index_add_(0, place_P, -weight_P * error_P)
            others_UK.index_add_(0, cell_P, weight_P.unsqueeze(1) * others_PK)
    return own_UK, others_UK


def _maps(
    features: Tensor,
    labels: Tensor,
    ignore_index: int,
    align_corners: bool,
    inverse: Tensor | None,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield for each map its (U, D) cells, and ids, (P, C) source cells and weights of its pixels.

    Ignored pixels are left out.
    """
    if features.ndim == 2:
        if inverse is None:
            inverse = torch.arange(len(labels), device=labels.device)
        features, labels = features.T.unsqueeze(0), labels.unsqueeze(0)
        pairs = [(inverse, torch.ones_like(inverse))]
        denominator = 1
    else:
        axes = [
            axis_of(small, large, align_corners, labels.device)
            for small, large in zip(features.shape[2:], labels.shape[1:], strict=True)
        ]
        pairs = corners(axes, labels.device)
        denominator = math.prod(axis.denominator for axis in axes)
    cell_PC, units_PC = (torch.stack(tensors, 1) for tensors in zip(*pairs, strict=True))
    for map_, image_labels in zip(features.detach(), labels, strict=True):
        ids = image_labels.flatten().long()  # in 8 bits, a comparison with -100 would wrap around
        known = ids != ignore_index
        rows_UD = map_.flatten(1).T.double()
        yield rows_UD, ids[known], cell_PC[known], units_PC[known].double() / denominator
