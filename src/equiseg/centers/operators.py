"""The routes of the class centers on a CPU as operators of torch.

What these functions compute, and the shapes in between, depend on the values of the labels, which
a compiled graph does not allow. As operators they are one opaque step of the graph: torch.compile
calls them as they are.

Shapes: B batch, K classes, D dim, U cells of one map, E entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from equiseg.centers.label_sides import LabelSide, count_in_voxels, transpose_labels
from equiseg.centers.tiles import Side, spread_tiles, sum_dtype, summed_tiles

_SIDE = "Tensor class_E, Tensor cell_E, Tensor weight_E, Tensor? length"


def sums_over_side(features: Tensor, side: LabelSide) -> Tensor:
    """(K, D) sums of (B, D, *spatial) maps or (V, D) voxels over the entries of a label side.

    Differentiable in the features, twice.
    """
    entries = (side.class_E, side.cell_E, side.weight_E, None)
    sums_KD: Tensor = _class_sums(_maps(features), *entries, len(side.counts_K))
    return sums_KD


def sums_over_labels(
    features: Tensor,
    ids: Tensor,
    num_classes: int,
    align_corners: bool,
    inverse: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """(K, D) sums and (K,) counts, in shapes that do not depend on the labels.

    Args:
        features: (B, D, *spatial) maps, or (V, D) voxels.
        ids: (B, *Spatial), or (N,) for voxels, integers in 0..K, K where ignored.
        num_classes: Number of classes K.
        align_corners: The convention of the resize.
        inverse: (N,) the voxel of each point; None for maps.
    """
    size = list(features.shape[2:]) if inverse is None else [features.shape[0]]
    *entries, counts_K = _label_entries(
        ids, inverse, num_classes, size, align_corners, sum_dtype(features)
    )
    sums_KD: Tensor = _class_sums(_maps(features), *entries, num_classes)
    return sums_KD, counts_K


def _maps(features: Tensor) -> Tensor:
    """(B, D, U); voxels are one map."""
    return features.flatten(2) if features.ndim > 2 else features.T.unsqueeze(0)


@torch.library.custom_op(
    "equiseg::label_entries",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor ids, Tensor? inverse, SymInt num_classes, SymInt[] feature_size, "
    "bool align_corners, ScalarType dtype) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _label_entries(
    ids: Tensor,
    inverse: Tensor | None,
    num_classes: int,
    feature_size: list[int],
    align_corners: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A label side in buffers for the largest possible number of entries, and that number.

    Memory that is never written takes no place.
    """
    size = tuple(feature_size)
    if inverse is not None:
        side = count_in_voxels(ids, inverse, size[0], num_classes, num_classes, dtype)
    else:
        side = transpose_labels(ids, num_classes, size, num_classes, align_corners, dtype)
    most, entries = _most_entries(ids, inverse, num_classes, feature_size), len(side.cell_E)
    class_E, cell_E, weight_E = (
        empty_in_huge_pages((most,), values.dtype)
        for values in (side.class_E, side.cell_E, side.weight_E)
    )
    class_E[:entries], cell_E[:entries] = side.class_E, side.cell_E
    weight_E[:entries] = side.weight_E
    return class_E, cell_E, weight_E, torch.tensor([entries]), side.counts_K


def _most_entries(
    ids: Tensor, inverse: Tensor | None, num_classes: int, feature_size: list[int]
) -> int:
    """The largest possible number of entries."""
    cells = 1 if inverse is not None else ids.shape[0]  # len would fix the size
    for size in feature_size:
        cells = cells * size
    a_label = 1 if inverse is not None else 2 ** len(feature_size)
    most: int = torch.sym_min(a_label * ids.numel(), num_classes * cells)  # type: ignore[no-untyped-call]
    return most


@torch.library.custom_op(
    "equiseg::class_sums",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor maps_BDU, {_SIDE}, SymInt num_classes) -> Tensor",
)
def _class_sums(
    maps_BDU: Tensor,
    class_E: Tensor,
    cell_E: Tensor,
    weight_E: Tensor,
    length: Tensor | None,
    num_classes: int,
) -> Tensor:
    """The product S f without a dense S and without a resized f."""
    side = _side(class_E, cell_E, weight_E, length)
    sums_KD = summed_tiles(maps_BDU, side, num_classes)
    if not sums_KD.isfinite().all():  # zero times infinity is NaN: leave unlabelled cells out
        batch, _, cells = maps_BDU.shape
        unlabelled = torch.ones(batch * cells, dtype=torch.bool)
        unlabelled[side.cell_E.long()] = False
        maps_BDU = maps_BDU.masked_fill(unlabelled.view(batch, 1, cells), 0)
        sums_KD = summed_tiles(maps_BDU, side, num_classes)
    return sums_KD


@torch.library.custom_op(
    "equiseg::spread_class_sums",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor gradient_KD, {_SIDE}, SymInt[] size, bool channels_last, "
    "ScalarType dtype) -> Tensor",
)
def _spread_class_sums(
    gradient_KD: Tensor,
    class_E: Tensor,
    cell_E: Tensor,
    weight_E: Tensor,
    length: Tensor | None,
    size: list[int],
    channels_last: bool,
    dtype: torch.dtype,
) -> Tensor:
    """The product S^T g, in the memory format of the maps."""
    batch, dim, cells = size
    shape = (batch, cells, dim) if channels_last else (batch, dim, cells)
    maps = empty_in_huge_pages(shape, dtype)
    maps_BDU = maps.transpose(1, 2) if channels_last else maps
    spread_tiles(gradient_KD, _side(class_E, cell_E, weight_E, length), maps_BDU)
    return maps_BDU


def _side(class_E: Tensor, cell_E: Tensor, weight_E: Tensor, length: Tensor | None) -> Side:
    if length is None:
        return Side(class_E, cell_E, weight_E)
    entries = int(length)
    return Side(class_E[:entries], cell_E[:entries], weight_E[:entries])


def empty_in_huge_pages(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Uninitialised memory that is cheap to write for the first time.

    For a large array, numpy asks Linux for pages of 2 MB. Torch does so only if the environment has
    THP_MEM_ALLOC_ENABLE=1, and its first write to 32 MB in pages of 4 KB may take longer than the
    whole product.
    """
    same_size = f"i{dtype.itemsize}"  # numpy has no bfloat16
    return torch.from_numpy(np.empty(shape, same_size)).view(dtype)


@_label_entries.register_fake
def _(
    ids: Tensor,
    inverse: Tensor | None,
    num_classes: int,
    feature_size: list[int],
    align_corners: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    most = _most_entries(ids, inverse, num_classes, feature_size)
    return (
        ids.new_empty(most, dtype=torch.int32),
        ids.new_empty(most, dtype=torch.int32),
        ids.new_empty(most, dtype=dtype),
        ids.new_empty(1, dtype=torch.int64),
        ids.new_empty(num_classes, dtype=torch.int64),
    )


@_class_sums.register_fake
def _(maps_BDU: Tensor, *others: Any) -> Tensor:
    return maps_BDU.new_empty(others[-1], maps_BDU.shape[1], dtype=sum_dtype(maps_BDU))


@_spread_class_sums.register_fake
def _(gradient_KD: Tensor, *others: Any) -> Tensor:
    (batch, dim, cells), channels_last, dtype = others[-3:]
    if channels_last:
        return gradient_KD.new_empty(batch, cells, dim, dtype=dtype).transpose(1, 2)
    return gradient_KD.new_empty(batch, dim, cells, dtype=dtype)


def _keep_for_spread(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    maps_BDU, *side, _ = inputs
    ctx.save_for_backward(*side)
    channels_last = maps_BDU.shape[1] > 1 and maps_BDU.stride(1) == 1
    ctx.layout = (maps_BDU.shape, channels_last, maps_BDU.dtype)


def _gradient_of_sums(ctx: Any, gradient_KD: Tensor) -> tuple[Tensor | None, ...]:
    return (_spread_class_sums(gradient_KD, *ctx.saved_tensors, *ctx.layout), *[None] * 5)


def _keep_for_sums(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    gradient_KD, *side, _, _, _ = inputs
    ctx.save_for_backward(*side)
    ctx.num_classes = gradient_KD.shape[0]


def _gradient_of_spread(ctx: Any, gradient_BDU: Tensor) -> tuple[Tensor | None, ...]:
    return (_class_sums(gradient_BDU, *ctx.saved_tensors, ctx.num_classes), *[None] * 7)


_class_sums.register_autograd(_gradient_of_sums, setup_context=_keep_for_spread)
_spread_class_sums.register_autograd(_gradient_of_spread, setup_context=_keep_for_sums)
