"""Label pixels in blocks: the pixels between neighbouring cells contribute to the same cells.

Along one axis, the positions between cells b - 1 and b are block b; U cells lie between U + 1
blocks. Over all axes, a block contributes to 2 (1D), 4 (2D) or 8 (3D) cells, its corners. On
pictures nearly every block has one class.

Images are stacked along the first axis: U cells of each image, and between two images a cell
without weight, which keeps them apart.

Shapes: U cells and B blocks of one axis, O positions of a block along one axis; G given blocks.
Tensors over the pixels of blocks are (O, ..., G), with one O for each axis: long rows are fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.resize import Axis, axis_of

Corner = tuple[int, ...]
"""For each axis, 0 for the cell before a block and 1 for the cell after it."""


class AxisBlocks(NamedTuple):
    """The blocks of label positions along one axis.

    Attributes:
        position_OB: (O, B) int64; a shorter block repeats a position, with weights of zero.
        inside_OB: (O, B) bool, False where a position is repeated.
        weight_2OB: (2, O, B) weight of each position on the cell before and after its block.
        weight_2U: (2, U) weight on every cell of the whole block before and after it.
    """

    position_OB: Tensor
    inside_OB: Tensor
    weight_2OB: Tensor
    weight_2U: Tensor

    @classmethod
    def of(cls, axis: Axis, dtype: torch.dtype) -> AxisBlocks:
        """The blocks of one axis of a resize."""
        (lower, upper), (lower_units, upper_units) = axis.cells, axis.units
        # Positions up to the first cell are block 0, those past the last cell block U; either has
        # only one cell, with the whole weight.
        past_last = upper == lower
        up_to_first = (lower == 0) & (upper_units == 0) & ~past_last
        block = torch.where(up_to_first, 0, lower + 1)
        before = torch.where(past_last, axis.denominator, lower_units).masked_fill(up_to_first, 0)
        numbers = torch.arange(axis.size + 1)
        start = torch.searchsorted(block, numbers)
        stop = torch.searchsorted(block, numbers, right=True)
        offset = torch.arange(int((stop - start).max())).unsqueeze(1)
        inside_OB = start + offset < stop
        position_OB = (start + offset).minimum((stop - 1).maximum(start))
        units_2OB = torch.stack([before, axis.denominator - before])[:, position_OB] * inside_OB
        whole_2B = units_2OB.sum(1)
        units_2U = torch.stack([whole_2B[1, :-1], whole_2B[0, 1:]])
        weight_2OB, weight_2U = (
            (units.double() / axis.denominator).to(dtype) for units in (units_2OB, units_2U)
        )
        return cls(position_OB, inside_OB, weight_2OB, weight_2U)

    def stacked(self, images: int, positions: int) -> AxisBlocks:
        """The first axis of some images, each with so many label positions."""
        starts = torch.arange(images).unsqueeze(1) * positions
        return AxisBlocks(
            (self.position_OB.unsqueeze(1) + starts).flatten(1),
            self.inside_OB.repeat(1, images),
            self.weight_2OB.repeat(1, 1, images),
            F.pad(self.weight_2U, (0, 1)).repeat(1, images)[:, :-1],
        )


class BlockGrid:
    """The blocks of one resize along all axes, for some images stacked along the first.

    Args:
        images: Number of images.
        feature_size: Sizes of the small maps.
        label_size: Sizes of the labels, each at least the map's.
        align_corners: The convention of the resize.
        dtype: Dtype of the weights.
    """

    def __init__(
        self,
        images: int,
        feature_size: Sequence[int],
        label_size: Sequence[int],
        align_corners: bool,
        dtype: torch.dtype,
    ) -> None:
        cpu = torch.device("cpu")
        first, *others = (
            AxisBlocks.of(axis_of(small, large, align_corners, cpu), dtype)
            for small, large in zip(feature_size, label_size, strict=True)
        )
        self.axes = [first.stacked(images, label_size[0]), *others]
        self.corners: list[Corner] = list(itertools.product((0, 1), repeat=len(self.axes)))
        self.pixels = outer([axis.inside_OB.sum(0) for axis in self.axes])
        self.whole_weights = outer([axis.weight_2U.sum(0) for axis in self.axes])

    def extremes(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest and the largest label of every block of stacked labels, (B, ...)."""
        low = high = labels
        for number, axis in enumerate(self.axes):
            low = _reduced(low, number, axis, torch.amin)
            high = _reduced(high, number, axis, torch.amax)
        return low, high

    def labels_of(self, labels: Tensor, blocks: Sequence[Tensor]) -> Tensor:
        """(O, ..., G) labels of the pixels of some blocks, given by their coordinates."""
        steps = zip(self.axes, strides(labels.shape), strict=True)
        positions = [axis.position_OB * step for axis, step in steps]
        return take(labels, _over_pixels(positions, blocks, torch.add))

    def inside(self, blocks: Sequence[Tensor]) -> Tensor:
        """(O, ..., G) bool, False for the pixels that :meth:`labels_of` repeats."""
        return _over_pixels([axis.inside_OB for axis in self.axes], blocks, torch.logical_and)

    def weights(self, corner: Corner, blocks: Sequence[Tensor]) -> Tensor:
        """(O, ..., G) weights of the pixels of some blocks on one corner."""
        of_axes = [axis.weight_2OB[side] for axis, side in zip(self.axes, corner, strict=True)]
        return _over_pixels(of_axes, blocks, torch.mul)

    def summed_weights(self, chosen: Tensor, blocks: Sequence[Tensor]) -> list[Tensor]:
        """For each corner the (G,) weight of the chosen pixels, (O, ..., G) bool.

        One axis after the other: a pixel costs two products, not one for each corner.
        """
        sums = [chosen.to(self.whole_weights.dtype)]
        for axis, block in zip(self.axes, blocks, strict=True):
            weight_2OG = axis.weight_2OB.index_select(2, block)
            sums = [
                (values * weight_OG.view(len(weight_OG), *[1] * (values.ndim - 2), -1)).sum(0)
                for values in sums
                for weight_OG in weight_2OG
            ]
        return sums


def take(values: Tensor, places: Tensor) -> Tensor:
    """The values at these places of a flattened tensor; twice as fast as indexing."""
    return values.flatten().index_select(0, places.flatten()).view(places.shape)


def strides(shape: Sequence[int]) -> list[int]:
    """The steps along each axis of a contiguous tensor of this shape."""
    return [torch.Size(shape[axis + 1 :]).numel() for axis in range(len(shape))]


def outer(factors: Sequence[Tensor]) -> Tensor:
    """The product of one vector for each axis, first axis outermost."""
    return reduce(lambda product, factor: product.unsqueeze(-1) * factor, factors)


def _over_pixels(
    of_axes: Sequence[Tensor],
    blocks: Sequence[Tensor],
    join: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """(O, ..., G) from the (O, B) values of every axis, joined for the blocks given."""
    first, *others = (values_OB[:, block] for values_OB, block in zip(of_axes, blocks, strict=True))
    return reduce(lambda joined, values_OG: join(joined.unsqueeze(-2), values_OG), others, first)


def _reduced(
    values: Tensor, dim: int, axis: AxisBlocks, reduction: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """Reduce a dimension of label positions to one of blocks."""
    if dim == values.ndim - 1 > 0:  # whole rows are faster than single values
        rows = values.movedim(-1, 0).contiguous()
        return _reduced(rows, 0, axis, reduction).movedim(0, -1).contiguous()
    before, positions = values.shape[:dim], values.shape[dim]
    starts = torch.arange(before.numel()).view(-1, 1, 1) * positions
    rows = values.flatten(0, dim).index_select(0, (starts + axis.position_OB.T).flatten())
    shape = (*before, *axis.position_OB.T.shape, *values.shape[dim + 1 :])
    return reduction(rows.view(shape), dim + 1)
