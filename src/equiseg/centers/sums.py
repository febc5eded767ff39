"""Class sums: the feature part of the class centers, with one read of the small maps.

Three routes compute the (K, D) sums ``sum_u S_k(u) f(u)``, all in float32 or better:

- :func:`row_sums`, for points on the CPU.
- ``tiles``, for maps and voxels on the CPU; ``operators`` makes it work in ``torch.compile``.
- :func:`dense_sums`, on an accelerator, which would have to synchronise if shapes depended on the
  labels: a product with all classes, in blocks.

Shapes: B batch, K classes, D dim, U cells of one map, N points, E entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from equiseg.centers.label_sides import LabelSide
from equiseg.centers.tiles import sum_dtype
from equiseg.labels import fold_ignored
from equiseg.resize import axis_of, corners

_CHUNK_ROWS = 2**11
_BLOCK_VALUES = 2**26  # weights of a block of classes: 256 MB, and 1 GB while they are computed


class Labelling(NamedTuple):
    """The labels of a batch, and how they map to its features.

    Attributes:
        labels: (B, *Spatial) or (N,) integers.
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        align_corners: The convention of the resize.
        inverse: (N,) voxel of each labelled point; None unless the features belong to voxels.
    """

    labels: Tensor
    num_classes: int
    ignore_index: int
    align_corners: bool = False
    inverse: Tensor | None = None


def row_sums(features: Tensor, ids: Tensor, num_classes: int) -> Tensor:
    """(K, D) sums where every label has its own feature: points, or maps at label size.

    It sums in chunks of rows: a float32 sum of a million rows, one after the other, would be wrong
    in the third digit. Its temporary memory is at most as large as the features, and much smaller
    for few classes (K / 2048 of the features).

    Args:
        features: (B, D, *spatial) or (N, D).
        ids: (B, *spatial) or (N,) int64 in 0..K, K where ignored.
        num_classes: Number of classes K.
    """
    rows_ND = features.movedim(1, -1).reshape(-1, features.shape[1]).to(sum_dtype(features))
    rows, dim = rows_ND.shape
    size, width = max(_CHUNK_ROWS, num_classes), num_classes + 1
    chunks = -(-rows // size)
    chunk_N = torch.arange(rows, device=ids.device) // size
    sums = rows_ND.new_zeros(chunks * width, dim)
    sums = sums.index_add(0, chunk_N * width + ids.flatten(), rows_ND)
    return sums.view(chunks, width, dim).sum(0)[:num_classes]


def dense_sums(features: Tensor, labelling: Labelling, side: LabelSide | None) -> Tensor:
    """(K, D) sums with shapes that do not depend on the labels.

    Args:
        features: (B, D, *spatial) maps, or (N, D) points or (V, D) voxels, treated as one map.
        labelling: The labels, and how they map to the features.
        side: Used instead of the labels if given.
    """
    labels, num_classes, ignore_index, align_corners, inverse = labelling
    if features.ndim == 2:
        features, labels = features.T.unsqueeze(0), labels.unsqueeze(0)
    features = features.to(sum_dtype(features))
    maps_BDU = features.flatten(2)
    if side is None:
        ids = fold_ignored(labels, num_classes, ignore_index)

    def weights_of(first: int, last: int) -> Tensor:
        if side is not None:
            return _weights_from_entries(side, maps_BDU, first, last)
        if inverse is not None:
            return _weights_from_points(ids[0], inverse, maps_BDU, first, last)
        return _weights_from_labels(ids, features, first, last, align_corners)

    return _sums_by_blocks(maps_BDU, num_classes, weights_of)


def _sums_by_blocks(
    maps_BDU: Tensor, num_classes: int, weights_of: Callable[[int, int], Tensor]
) -> Tensor:
    """Multiply by the weights of one block of classes at a time; backward recomputes them."""

    def block(maps_BDU: Tensor, first: int, last: int) -> Tensor:
        weights = weights_of(first, last)
        # Zero times infinity is NaN: a cell without these classes may hold anything.
        maps_BDU = torch.where(weights.any(1, keepdim=True), maps_BDU, 0)
        return torch.bmm(weights, maps_BDU.transpose(1, 2)).sum(0)

    cells = max(1, maps_BDU.shape[0] * maps_BDU.shape[2])
    size = max(1, _BLOCK_VALUES // cells)
    if num_classes <= size:
        return block(maps_BDU, 0, num_classes)
    return torch.cat(
        [
            checkpoint(
                block,
                maps_BDU,
                first,
                min(first + size, num_classes),
                use_reentrant=False,
                preserve_rng_state=False,  # it uses no random numbers
            )
            for first in range(0, num_classes, size)
        ]
    )


@torch.no_grad()
def _weights_from_labels(
    ids: Tensor, features: Tensor, first: int, last: int, align_corners: bool
) -> Tensor:
    """Dense S of the classes from ``first`` to ``last``: (B, last - first, U).

    The sum runs in integers (see ``resize``), so it does not depend on the order of additions on an
    accelerator.
    """
    feature_size, classes = features.shape[2:], last - first
    axes = [
        axis_of(small, large, align_corners, ids.device)
        for small, large in zip(feature_size, ids.shape[1:], strict=True)
    ]
    cells = feature_size.numel()
    local = torch.where((ids >= first) & (ids < last), ids - first, classes).flatten(1)
    image = torch.arange(len(ids), device=ids.device).unsqueeze(1)
    row = (image * (classes + 1) + local) * cells
    total = torch.zeros(len(ids) * (classes + 1) * cells, dtype=torch.int64, device=ids.device)
    for cell, units in corners(axes, ids.device):
        total.index_add_(0, (row + cell).flatten(), units.expand(row.shape).flatten())
    weights = total.view(len(ids), classes + 1, cells)[:, :classes].to(features.dtype)
    return weights / math.prod([axis.denominator for axis in axes])


@torch.no_grad()
def _weights_from_points(
    ids: Tensor, inverse: Tensor, maps_BDU: Tensor, first: int, last: int
) -> Tensor:
    """Number of points of each class in each voxel, (1, last - first, V), counted in integers."""
    voxels, classes = maps_BDU.shape[2], last - first
    local = torch.where((ids >= first) & (ids < last), ids - first, classes)
    total = torch.zeros((classes + 1) * voxels, dtype=torch.int64, device=ids.device)
    total.index_add_(0, local * voxels + inverse, torch.ones_like(ids))
    return total.view(1, classes + 1, voxels)[:, :classes].to(maps_BDU.dtype)


@torch.no_grad()
def _weights_from_entries(side: LabelSide, maps_BDU: Tensor, first: int, last: int) -> Tensor:
    """Dense S of the classes from ``first`` to ``last``, from a prepared label side."""
    batch, _, cells = maps_BDU.shape
    classes = last - first
    cell_E, class_E = side.cell_E.long(), side.class_E.long()
    image_E = cell_E // cells
    place_E = (image_E * classes + class_E - first) * cells + cell_E % cells
    outside = batch * classes * cells
    place_E = torch.where((class_E >= first) & (class_E < last), place_E, outside)
    weights = maps_BDU.new_zeros(outside + 1)
    weights[place_E] = side.weight_E.to(weights.dtype)
    return weights[:-1].view(batch, classes, cells)
