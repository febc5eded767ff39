"""Class sums on a GPU in one kernel each way, without a dense label side in memory.

The dense route writes the weight of every class on every cell, (B, K, U), and reads it back. Here
each program makes the weights of a few cells and classes from the labels, in registers, and
multiplies them with the features at once. No atomic addition: the same input gives the same bits.

It has not been measured on a GPU, so :func:`equiseg.class_centers` does not use it; ``python -m
benchmarks.gpu`` compares them. Import this module only where triton is installed.

Shapes: B batch, K classes, D dim, U cells of one map; in a program P cells, C classes, E channels.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from equiseg.centers.blocks import AxisBlocks
from equiseg.resize import axis_of

_CELLS = 64  # of a tile
_TILES = 16  # of a program of the forward pass, at most
_CLASSES = 64
_CHANNELS = 64


def triton_sums(
    features: Tensor, labels: Tensor, num_classes: int, *, align_corners: bool = False
) -> Tensor:
    """(K, D) sums of features resized to the labels, over the labels of each class.

    Differentiable in the features, once.

    Args:
        features: (B, D, *spatial) maps in float32, bfloat16 or float16, summed in float32.
        labels: (B, *Spatial) integers; values outside 0..K-1 are left out.
        num_classes: Number of classes K.
        align_corners: The convention of the resize.

    Raises:
        TypeError: If the features are float64.
    """
    if features.dtype == torch.float64:
        raise TypeError("features must be float32, bfloat16 or float16, got float64; use .float()")
    sums_KD: Tensor = _TritonSums.apply(features, labels, num_classes, align_corners)  # type: ignore[no-untyped-call]
    return sums_KD


class _TritonSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, labels: Tensor, num_classes: int, align_corners: bool
    ) -> Tensor:
        maps_BDU, labels = features.flatten(2), labels.contiguous()
        batch, dim, cells = maps_BDU.shape
        ctx.resize = _resize_arguments(features, labels, align_corners)
        ctx.save_for_backward(labels)
        ctx.like = torch.empty_like(maps_BDU, device="meta")
        ctx.shape = features.shape
        tiles = min(_TILES, triton.cdiv(cells, _CELLS))
        groups = triton.cdiv(cells, _CELLS * tiles)
        part_GKD = maps_BDU.new_empty(batch * groups, num_classes, dim, dtype=torch.float32)
        grid = (batch * groups, triton.cdiv(num_classes, _CLASSES), triton.cdiv(dim, _CHANNELS))
        _sum_kernel[grid](
            maps_BDU,
            *maps_BDU.stride(),
            labels,
            part_GKD,
            groups,
            cells,
            dim,
            num_classes,
            *ctx.resize[0],
            **ctx.resize[1],
            TILES=tiles,
            CELLS=_CELLS,
            CLASSES=_CLASSES,
            CHANNELS=_CHANNELS,
        )
        return part_GKD.sum(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        (gradient_KD,), (labels,) = gradients, ctx.saved_tensors
        maps_BDU = torch.empty_like(ctx.like, device=gradient_KD.device)
        batch, dim, cells = maps_BDU.shape
        tiles = triton.cdiv(cells, _CELLS)
        _spread_kernel[(batch * tiles, triton.cdiv(dim, _CHANNELS))](
            gradient_KD.contiguous(),
            labels,
            maps_BDU,
            *maps_BDU.stride(),
            tiles,
            cells,
            dim,
            len(gradient_KD),
            *ctx.resize[0],
            **ctx.resize[1],
            CELLS=_CELLS,
            CLASSES=_CLASSES,
            CHANNELS=_CHANNELS,
        )
        return maps_BDU.view(ctx.shape), None, None, None


def _resize_arguments(
    features: Tensor, labels: Tensor, align_corners: bool
) -> tuple[tuple[Any, ...], dict[str, int]]:
    """The arguments of the kernels that describe the resize, as of three axes."""
    ones = (1,) * (5 - features.ndim)
    small, large = (*ones, *features.shape[2:]), (*ones, *labels.shape[1:])
    tables = [
        _contributions(cells, positions, align_corners, features.device)
        for cells, positions in zip(small, large, strict=True)
    ]
    arguments = [tensor for table in tables for tensor in table]
    most = {f"MOST_{axis}": table[0].shape[1] for axis, table in enumerate(tables)}
    return (*arguments, small[1], small[2], labels[0].numel(), large[1], large[2]), most


@functools.lru_cache(maxsize=64)
def _contributions(
    cells: int, positions: int, align_corners: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The label positions that contribute to each cell, (U, most) int32, and their weights."""
    axis = AxisBlocks.of(
        axis_of(cells, positions, align_corners, torch.device("cpu")), torch.float32
    )
    position = torch.cat([axis.position_OB[:, :-1], axis.position_OB[:, 1:]])
    weight = torch.cat([axis.weight_2OB[1, :, :-1], axis.weight_2OB[0, :, 1:]])
    # Without a wait for the device.
    return (
        position.T.int().contiguous().to(device, non_blocking=True),
        weight.T.contiguous().to(device, non_blocking=True),
    )


@triton.jit  # type: ignore[untyped-decorator]
def _weights(  # type: ignore[no-untyped-def]
    labels,
    cell_P,
    inside_P,
    class_C,
    position_0,
    weight_0,
    position_1,
    weight_1,
    position_2,
    weight_2,
    size_1,
    size_2,
    length_1,
    length_2,
    MOST_0: tl.constexpr,
    MOST_1: tl.constexpr,
    MOST_2: tl.constexpr,
    CELLS: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """(C, P) weights of some classes on some cells of one image."""
    row_0 = cell_P // (size_1 * size_2) * MOST_0
    row_1 = cell_P // size_2 % size_1 * MOST_1
    row_2 = cell_P % size_2 * MOST_2
    weights = tl.zeros((CLASSES, CELLS), dtype=tl.float32)
    for m_0 in range(MOST_0):
        at_0 = tl.load(position_0 + row_0 + m_0, mask=inside_P, other=0) * length_1
        share_0 = tl.load(weight_0 + row_0 + m_0, mask=inside_P, other=0.0)
        for m_1 in range(MOST_1):
            at_1 = tl.load(position_1 + row_1 + m_1, mask=inside_P, other=0)
            at_1 = (at_0 + at_1) * length_2
            share_1 = share_0 * tl.load(weight_1 + row_1 + m_1, mask=inside_P, other=0.0)
            for m_2 in range(MOST_2):
                at_2 = tl.load(position_2 + row_2 + m_2, mask=inside_P, other=0)
                share_2 = share_1 * tl.load(weight_2 + row_2 + m_2, mask=inside_P, other=0.0)
                id_P = tl.load(labels + at_1 + at_2, mask=inside_P, other=-1)
                weights += tl.where(id_P[None, :] == class_C[:, None], share_2[None, :], 0.0)
    return weights


@triton.jit  # type: ignore[untyped-decorator]
def _sum_kernel(  # type: ignore[no-untyped-def]
    maps,
    stride_b,
    stride_d,
    stride_u,
    labels,
    part_GKD,
    groups,
    cells,
    dim,
    num_classes,
    position_0,
    weight_0,
    position_1,
    weight_1,
    position_2,
    weight_2,
    size_1,
    size_2,
    image_labels,
    length_1,
    length_2,
    MOST_0: tl.constexpr,
    MOST_1: tl.constexpr,
    MOST_2: tl.constexpr,
    TILES: tl.constexpr,
    CELLS: tl.constexpr,
    CLASSES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The sums over a group of tiles of one image, for some classes and channels."""
    program = tl.program_id(0)
    image = (program // groups).to(tl.int64)
    class_C = tl.program_id(1) * CLASSES + tl.arange(0, CLASSES)
    channel_E = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    sums_CE = tl.zeros((CLASSES, CHANNELS), dtype=tl.float32)
    for tile in range(TILES):
        cell_P = (program % groups * TILES + tile) * CELLS + tl.arange(0, CELLS)
        inside_P = cell_P < cells
        weights_CP = _weights(
            labels + image * image_labels,
            cell_P,
            inside_P,
            class_C,
            position_0,
            weight_0,
            position_1,
            weight_1,
            position_2,
            weight_2,
            size_1,
            size_2,
            length_1,
            length_2,
            MOST_0,
            MOST_1,
            MOST_2,
            CELLS,
            CLASSES,
        )
        # Zero times infinity is NaN: a cell without these classes may hold anything.
        used_P = tl.max(weights_CP, axis=0) > 0
        place_PE = cell_P[:, None] * stride_u + channel_E[None, :] * stride_d
        tile_PE = tl.load(
            maps + image * stride_b + place_PE,
            mask=used_P[:, None] & (channel_E < dim)[None, :],
            other=0.0,
        )
        sums_CE += tl.dot(weights_CP, tile_PE.to(tl.float32), input_precision="ieee")
    place_CE = (program.to(tl.int64) * num_classes + class_C[:, None]) * dim + channel_E[None, :]
    used_CE = (class_C < num_classes)[:, None] & (channel_E < dim)[None, :]
    tl.store(part_GKD + place_CE, sums_CE, mask=used_CE)


@triton.jit  # type: ignore[untyped-decorator]
def _spread_kernel(  # type: ignore[no-untyped-def]
    gradient_KD,
    labels,
    maps,
    stride_b,
    stride_d,
    stride_u,
    tiles,
    cells,
    dim,
    num_classes,
    position_0,
    weight_0,
    position_1,
    weight_1,
    position_2,
    weight_2,
    size_1,
    size_2,
    image_labels,
    length_1,
    length_2,
    MOST_0: tl.constexpr,
    MOST_1: tl.constexpr,
    MOST_2: tl.constexpr,
    CELLS: tl.constexpr,
    CLASSES: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The gradient of one tile of one image, for some channels."""
    image = (tl.program_id(0) // tiles).to(tl.int64)
    cell_P = tl.program_id(0) % tiles * CELLS + tl.arange(0, CELLS)
    inside_P = cell_P < cells
    channel_E = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    tile_EP = tl.zeros((CHANNELS, CELLS), dtype=tl.float32)
    for first in range(0, num_classes, CLASSES):
        class_C = first + tl.arange(0, CLASSES)
        weights_CP = _weights(
            labels + image * image_labels,
            cell_P,
            inside_P,
            class_C,
            position_0,
            weight_0,
            position_1,
            weight_1,
            position_2,
            weight_2,
            size_1,
            size_2,
            length_1,
            length_2,
            MOST_0,
            MOST_1,
            MOST_2,
            CELLS,
            CLASSES,
        )
        rows_EC = tl.load(
            gradient_KD + class_C[None, :] * dim + channel_E[:, None],
            mask=(class_C < num_classes)[None, :] & (channel_E < dim)[:, None],
            other=0.0,
        )
        tile_EP += tl.dot(rows_EC, weights_CP, input_precision="ieee")
    place_EP = image * stride_b + channel_E[:, None] * stride_d + cell_P[None, :] * stride_u
    used_EP = (channel_E < dim)[:, None] & inside_P[None, :]
    tl.store(maps + place_EP, tile_EP.to(maps.dtype.element_ty), mask=used_EP)
