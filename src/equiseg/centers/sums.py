"""Class sums: the feature part of the class centers, with one read of the small maps.

Three functions compute the (K, D) sums ``sum_u S_k(u) f(u)``, all in float32 or better:

- :func:`row_sums`, for points on the CPU.
- :func:`sparse_sums`, in eager mode on the CPU: for each tile of cells, a dense product with the
  classes that occur in the tile. Its backward visits the same tiles and writes the gradient.
- :func:`dense_sums`, where shapes must not depend on the labels (on an accelerator, which would
  have to synchronise, and in ``torch.compile``): a product with all classes, in blocks.

Shapes: B batch, K classes, D dim, U cells of one map, N points, E entries, C classes of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from equiseg.centers.label_sides import LabelSide
from equiseg.labels import fold_ignored
from equiseg.resize import axis_of, corners

_CHUNK_ROWS = 2**11
_TILE_CELLS = 2**11  # with 128 channels, 1 MB: a core's cache
_TILE_VALUES = 2**22  # weights of a tile, for any number of classes
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


def sum_dtype(features: Tensor) -> torch.dtype:
    """The dtype of sums over these features: float64 for float64, else float32."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


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


def sparse_sums(features: Tensor, side: LabelSide) -> Tensor:
    """(K, D) sums of (B, D, *spatial) maps or (V, D) voxels over the entries of a label side."""
    if features.ndim == 2:
        features = features.T.unsqueeze(0)  # one map of V cells
    sums_KD: Tensor = _SparseSums.apply(features, side)  # type: ignore[no-untyped-call]
    return sums_KD


class _SparseSums(torch.autograd.Function):
    """The product S f without a dense S and without a resized f."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, side: LabelSide) -> Tensor:
        maps_BDU = features.flatten(2)
        ctx.side, ctx.shape = side, features.shape
        ctx.like = torch.empty_like(maps_BDU, device="meta")
        sums_KD = _summed_tiles(maps_BDU, side)
        if not sums_KD.isfinite().all():  # zero times infinity is NaN: leave unlabelled cells out
            sums_KD = _summed_tiles(maps_BDU.masked_fill(~_labelled(side, maps_BDU), 0), side)
        return sums_KD

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        maps: Tensor = _SpreadSums.apply(gradients[0], ctx.side, ctx.like, ctx.shape)  # type: ignore[no-untyped-call]
        return maps, None


class _SpreadSums(torch.autograd.Function):
    """The product S^T g, a separate function so that second derivatives exist."""

    @staticmethod
    def forward(
        ctx: Any, gradient_KD: Tensor, side: LabelSide, like: Tensor, shape: torch.Size
    ) -> Tensor:
        ctx.side = side
        # In the layout of the flat maps, not of the features: a transposed map has no flat view.
        maps_BDU = torch.empty_like(like, device=gradient_KD.device)
        for image, cells, classes_C, weights_CU in _tiles(side, maps_BDU.shape, gradient_KD.dtype):
            tile_DU = maps_BDU[image, :, cells]
            rows_DC = gradient_KD[classes_C].T
            if tile_DU.dtype == gradient_KD.dtype:
                torch.mm(rows_DC, weights_CU, out=tile_DU)
            else:
                tile_DU.copy_(rows_DC @ weights_CU)
        return maps_BDU.view(shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        sums_KD: Tensor = _SparseSums.apply(gradients[0], ctx.side)  # type: ignore[no-untyped-call]
        return sums_KD, None, None, None


def _summed_tiles(maps_BDU: Tensor, side: LabelSide) -> Tensor:
    dtype = sum_dtype(maps_BDU)
    sums_KD = maps_BDU.new_zeros(len(side.counts_K), maps_BDU.shape[1], dtype=dtype)
    for image, cells, classes_C, weights_CU in _tiles(side, maps_BDU.shape, dtype):
        if len(classes_C):
            tile_UD = maps_BDU[image, :, cells].T.to(dtype)
            sums_KD.index_add_(0, classes_C, weights_CU @ tile_UD)
    return sums_KD


def _labelled(side: LabelSide, maps_BDU: Tensor) -> Tensor:
    """(B, 1, U) bool, whether a cell has a label."""
    batch, _, cells = maps_BDU.shape
    labelled = torch.zeros(batch * cells, dtype=torch.bool)
    labelled[side.cell_E.long()] = True
    return labelled.view(batch, 1, cells)


def _tiles(
    side: LabelSide, shape: torch.Size, dtype: torch.dtype
) -> Iterator[tuple[int, slice, Tensor, Tensor]]:
    """Yield for each tile its image, its cells, their classes and dense (C, cells) weights."""
    batch, _, map_cells = shape
    present = int((side.counts_K > 0).sum())
    size = max(1, min(_TILE_CELLS, _TILE_VALUES // max(present, 1)))
    places = [
        (image, start, min(start + size, map_cells))
        for image in range(batch)
        for start in range(0, map_cells, size)
    ]
    ends = torch.tensor([image * map_cells + stop for image, _, stop in places])
    ends = torch.searchsorted(side.cell_E, ends.to(side.cell_E.dtype))
    first = 0
    for (image, start, stop), last in zip(places, ends.tolist(), strict=True):
        classes_C, slot_E = torch.unique(side.class_E[first:last], return_inverse=True)
        cell_E = side.cell_E[first:last].long() - (image * map_cells + start)
        weights = torch.zeros(len(classes_C) * (stop - start), dtype=dtype)
        weights[slot_E * (stop - start) + cell_E] = side.weight_E[first:last].to(dtype)
        yield image, slice(start, stop), classes_C.long(), weights.view(-1, stop - start)
        first = last


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
