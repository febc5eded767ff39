"""Sparse convolution in pure torch: gather, multiply and sum, one tile of rows at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equiseg.models.sparse.kernel_maps import Tile, Walk


def convolve(features_NC: Tensor, weight: Tensor, there: Walk, back: Walk) -> Tensor:
    """Sum over the pairs (source, target) of each offset v: ``features[source] @ weight[v]``.

    For a tile of target rows, the source rows of all its pairs are gathered, the block of each
    offset is multiplied by its weight, and each target sums its products in the order of the
    offsets. There are no scatters or atomic adds, and no two threads write the same row. Results
    and gradients are therefore bitwise the same from run to run, on any device. They do not depend
    on the number of threads either if the matrix products do not: exact products never do, others
    if the BLAS keeps its order of summation (MKL uses another kernel for blocks of a few rows).

    Under autocast the products are in half precision, and the sums of each target and of each
    weight's gradient are in float32. The result is in half precision, as in torch's convolutions.

    Args:
        features_NC: (N, C) rows of the sources.
        weight: (V, C, D).
        there: Pairs by target.
        back: The same pairs by source.

    Returns:
        (M, D), one row per target.
    """
    device = features_NC.device.type
    half = torch.is_autocast_enabled(device) and features_NC.dtype != torch.float64
    dtype = torch.get_autocast_dtype(device) if half else features_NC.dtype
    output: Tensor = _Convolution.apply(features_NC, weight, there, back, dtype)  # type: ignore[no-untyped-call]
    return output


class _Convolution(torch.autograd.Function):
    """The convolution with its backward pass, which gathers rows once for both gradients."""

    @staticmethod
    def forward(
        ctx: Any, features_NC: Tensor, weight: Tensor, there: Walk, back: Walk, dtype: torch.dtype
    ) -> Tensor:
        ctx.save_for_backward(features_NC, weight)
        ctx.back, ctx.dtype = back, dtype
        features_NC, weight = features_NC.to(dtype), weight.to(dtype)
        output = features_NC.new_empty(there.rows, weight.shape[2])
        gathered, products = _buffers(there, features_NC, weight.shape[2])
        for tile in there.tiles:
            _gather(features_NC, tile.source_P, gathered)
            for v, pairs in _blocks(tile, there):
                torch.mm(gathered[pairs], weight[v], out=products[pairs])
            _add_up(tile, products, features_NC, weight, there.center, output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # torch's own once_differentiable can drop a term in silence
            raise RuntimeError(
                "sparse convolution has no second derivatives; call backward or autograd.grad "
                "without create_graph=True"
            )
        features_NC, weight = ctx.saved_tensors
        to_features, to_weight = ctx.needs_input_grad[:2]
        back, center = ctx.back, ctx.back.center
        gradient_MD, inputs_NC = gradients[0].to(ctx.dtype), features_NC.to(ctx.dtype)
        weight_VDC = weight.to(ctx.dtype).transpose(1, 2)
        features_gradient = torch.empty_like(inputs_NC) if to_features else None
        weight_gradient = torch.zeros_like(weight) if to_weight else None
        gathered, products = _buffers(back, gradient_MD, weight.shape[1])
        for tile in back.tiles:
            _gather(gradient_MD, tile.source_P, gathered)
            if weight_gradient is not None:
                _gather(inputs_NC, tile.target_P, products)  # read before the product overwrites it
            for v, pairs in _blocks(tile, back):
                if weight_gradient is not None:
                    _add_product(weight_gradient[v], products[pairs].T, gathered[pairs])
                if features_gradient is not None:
                    torch.mm(gathered[pairs], weight_VDC[v], out=products[pairs])
            if features_gradient is not None:
                _add_up(tile, products, gradient_MD, weight_VDC, center, features_gradient)
        if weight_gradient is not None and center is not None:
            _add_product(weight_gradient[center], inputs_NC.T, gradient_MD)
        if features_gradient is not None:
            features_gradient = features_gradient.to(features_NC.dtype)
        return features_gradient, weight_gradient, None, None, None


def _buffers(walk: Walk, like: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Buffers for the gathered rows and the products of the largest tile."""
    most = max((len(tile.source_P) for tile in walk.tiles), default=0)
    return like.new_empty(most, like.shape[1]), like.new_empty(most, channels)


def _gather(values: Tensor, rows_P: Tensor, buffer: Tensor) -> None:
    torch.index_select(values, 0, rows_P, out=buffer[: len(rows_P)])


def _blocks(tile: Tile, walk: Walk) -> list[tuple[int, slice]]:
    """The weights with pairs in the tile, and the slices of their pairs."""
    blocks, start = [], 0
    for v, size in zip(walk.offsets, tile.sizes, strict=True):
        if size:
            blocks.append((v, slice(start, start + size)))
        start += size
    return blocks


def _add_up(
    tile: Tile,
    products: Tensor,
    sources: Tensor,
    weight: Tensor,
    center: int | None,
    output: Tensor,
) -> None:
    """Sum the products of each target, including the center offset."""
    sums = tile.sums.reduce(products[: len(tile.source_P)], "sum")
    if center is None:
        output[tile.rows] = sums
    else:
        torch.addmm(sums, sources[tile.rows], weight[center], out=output[tile.rows])


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
