"""The transpose of a linear resize, applied to the labels of some images.

Three kinds of work, from the cheapest to the most expensive:

- a cell whose blocks (see ``blocks``) all have the same class has one entry, of a known weight;
- any other cell gets the weights of its blocks: of up to three classes, each class at once;
- only blocks of more classes are visited pixel by pixel.

Shapes: K classes, C classes present, U cells, B blocks, E entries; M cells with several classes,
G blocks with several classes, O positions of a block along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from equiseg.centers.blocks import BlockGrid, strides, take

# Values of one band of cells, in 1D, 2D and 3D: the weights of its cells, and 8 for each pixel of
# its mixed blocks. As float32 they take 8 MB; in 3D 32 MB, because a band costs some hundred calls
# and a slab has many cells. A band has at least one row of cells (one slab in 3D).
_BAND_VALUES = (2**21, 2**21, 2**23)


class WrongLabelError(Exception):
    """A label is neither a class nor ignored."""


class Entries(NamedTuple):
    """The weights of some images: class ``class_E[e]`` has ``weight_E[e]`` on ``cell_E[e]``.

    Attributes:
        class_E: (E,) int32, ascending within a cell.
        cell_E: (E,) int32, ascending, counted over the images.
        weight_E: (E,) above zero.
        counts_K: (K,) int64, labelled pixels of each class.
    """

    class_E: Tensor
    cell_E: Tensor
    weight_E: Tensor
    counts_K: Tensor


class Transpose:
    """The transpose of one resize, for a fixed number of images.

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
        self.images = images
        self.grid = BlockGrid(images, feature_size, label_size, align_corners, dtype)
        rows = feature_size[0]
        # Between two images is a cell that belongs to neither.
        self.rows = (torch.arange(images).unsqueeze(1) * (rows + 1) + torch.arange(rows)).flatten()

    def entries(self, labels: Tensor, num_classes: int, ignore_index: int) -> Entries:
        """The entries of labels (images, *Spatial).

        Args:
            labels: Integers in a dtype that can represent K. Few bytes are fast.
            num_classes: Number of classes K.
            ignore_index: Label value to leave out.

        Raises:
            WrongLabelError: If a label is out of range.
        """
        grid = self.grid
        blocks = _Blocks.of(labels.flatten(0, 1), num_classes, ignore_index, grid)
        first, *others = _corners(blocks.low, grid)
        several = reduce(
            torch.logical_or,
            [*_corners(blocks.mixed, grid), *(first != other for other in others)],
        )
        one = ~several & (first < num_classes) & (grid.whole_weights > 0)
        entries_M, class_E, weight_E = _of_several(several, blocks, grid)
        entries = one.long().masked_scatter_(several, entries_M)
        cell_E = torch.repeat_interleave(entries.index_select(0, self.rows).flatten())
        one_E = take(one.index_select(0, self.rows), cell_E)
        classes = torch.empty(len(cell_E), dtype=torch.int32)
        classes.masked_scatter_(one_E, first.masked_select(one).int()).masked_scatter_(
            ~one_E, class_E
        )
        weights = torch.empty(len(cell_E), dtype=weight_E.dtype)
        weights.masked_scatter_(one_E, grid.whole_weights.masked_select(one)).masked_scatter_(
            ~one_E, weight_E
        )
        return Entries(classes, cell_E.int(), weights, blocks.counts_K)


class _Blocks(NamedTuple):
    """The blocks of some labels. Ignored labels are K here.

    Attributes:
        low: (B, ...) int64, the smallest label of every block.
        high: (B, ...) int64, the largest.
        mixed: (B, ...) bool, whether they differ.
        places: Coordinates of the mixed blocks, one (G,) for each axis; the first ascends.
        labels: (O, ..., G) labels of the pixels of mixed blocks.
        counts_K: (K,) int64, pixels of each class.
        classes_C: (C,) int64, the classes present.
        slot: (K + 1,) int64, the position of each class in ``classes_C``; C for all else.
    """

    low: Tensor
    high: Tensor
    mixed: Tensor
    places: tuple[Tensor, ...]
    labels: Tensor
    counts_K: Tensor
    classes_C: Tensor
    slot: Tensor

    @classmethod
    def of(cls, labels: Tensor, num_classes: int, ignore_index: int, grid: BlockGrid) -> _Blocks:
        low, high = grid.extremes(labels)
        mixed = low != high
        places = mixed.nonzero(as_tuple=True)
        of_mixed = grid.labels_of(labels, places)
        low, high = low.long(), high.long()
        for ids in (low, high, of_mixed):
            ignored = ids == ignore_index
            if (((ids < 0) | (ids >= num_classes)) & ~ignored).any():
                raise WrongLabelError
            ids.masked_fill_(ignored, num_classes)
        own = of_mixed.masked_fill(~grid.inside(places), num_classes)
        counts = torch.bincount(own.flatten(), minlength=num_classes + 1)
        counts.index_add_(0, low.flatten(), grid.pixels.masked_fill(mixed, 0).flatten())
        classes_C = counts[:-1].nonzero().flatten()
        slot = torch.full((num_classes + 1,), len(classes_C))
        slot[classes_C] = torch.arange(len(classes_C))
        return cls(low, high, mixed, places, of_mixed, counts[:-1], classes_C, slot)


def _corners(blocks: Tensor, grid: BlockGrid) -> list[Tensor]:
    """The values of the blocks before and after every cell, one (U, ...) for each corner."""
    size = grid.whole_weights.shape
    return [
        blocks[tuple(slice(side, side + cells) for side, cells in zip(corner, size, strict=True))]
        for corner in grid.corners
    ]


def _of_several(several: Tensor, blocks: _Blocks, grid: BlockGrid) -> tuple[Tensor, ...]:
    """Number of entries of each of the ``several`` cells; their classes and weights."""
    own_slot = take(blocks.slot, blocks.low).masked_fill_(blocks.mixed, len(blocks.classes_C))
    entries_M, class_E, weight_E = [], [], []
    classes_C = blocks.classes_C.int()
    for top, bottom in _bands(several, blocks):
        band = _Band(several, top, bottom, len(blocks.classes_C), grid)
        band.add_own_classes(own_slot)
        band.add_mixed_blocks(blocks)
        weights_MC = band.weights_MC()
        row_E, slot_E = weights_MC.nonzero(as_tuple=True)
        entries_M.append(torch.bincount(row_E, minlength=len(weights_MC)))
        class_E.append(take(classes_C, slot_E))
        weight_E.append(weights_MC[row_E, slot_E])
    return torch.cat(entries_M), torch.cat(class_E), torch.cat(weight_E)


def _bands(several: Tensor, blocks: _Blocks) -> Iterator[tuple[int, int]]:
    """Split the rows of cells (slabs in 3D) into bands of limited temporary memory."""
    rows = len(several)
    values = several.reshape(rows, -1).sum(1) * (len(blocks.classes_C) + 1)
    values += 8 * blocks.labels[..., :1].numel() * blocks.mixed[1:].reshape(rows, -1).sum(1)
    limit = _BAND_VALUES[several.ndim - 1]
    top, total = 0, 0
    for row, of_row in enumerate(values.tolist()):
        if row > top and total + of_row > limit:
            yield top, row
            top, total = row, 0
        total += of_row
    yield top, rows


class _Band:
    """Dense weights (M, C) of the ``several`` cells in the rows from ``top`` to ``bottom``."""

    def __init__(
        self, several: Tensor, top: int, bottom: int, classes: int, grid: BlockGrid
    ) -> None:
        self.grid, self.top, self.bottom = grid, top, bottom
        row_M, *others = several[top:bottom].nonzero(as_tuple=True)
        self.cells = [row_M + top, *others]
        self.width = classes + 1  # the last column: ignored
        self.start_M = torch.arange(len(row_M)) * self.width
        # The last row is for all other cells.
        self.weights = grid.whole_weights.new_zeros((len(row_M) + 1) * self.width)

    def weights_MC(self) -> Tensor:
        """The weights added so far."""
        return self.weights.view(-1, self.width)[:-1, :-1]

    def add_own_classes(self, own_slot: Tensor) -> None:
        """Add the blocks of one class, given the slot of each."""
        for corner in self.grid.corners:
            near = [cell + side for cell, side in zip(self.cells, corner, strict=True)]
            slot_M = take(own_slot, _flat(near, own_slot.shape))
            of_axes = zip(self.grid.axes, corner, self.cells, strict=True)
            weight_M = reduce(
                torch.mul, (take(axis.weight_2U[side], cell) for axis, side, cell in of_axes)
            )
            self.weights.index_add_(0, self.start_M + slot_M, weight_M)

    def add_mixed_blocks(self, blocks: _Blocks) -> None:
        """Add the blocks of several classes."""
        ends = torch.tensor([self.top, self.bottom + 1])
        first, last = torch.searchsorted(blocks.places[0], ends).tolist()
        places = [place[first:last] for place in blocks.places]
        labels = blocks.labels[..., first:last]
        starts = self._starts(places)
        block_G = _flat(places, blocks.low.shape)
        others = torch.ones_like(labels, dtype=torch.bool)
        for of_blocks in (blocks.low, blocks.high):
            class_G = take(of_blocks, block_G)
            others &= ~self._add_class(class_G, labels, places, starts, blocks.slot)
        # Few blocks have a third class, and very few more.
        for third in (True, False):
            more = others.flatten(0, -2).any(0).nonzero().flatten()
            places, starts = ([take(row, more) for row in rows] for rows in (places, starts))
            labels, others = labels.index_select(-1, more), others.index_select(-1, more)
            if third:
                largest = torch.iinfo(labels.dtype).max
                class_G = labels.masked_fill(~others, largest).flatten(0, -2).amin(0).long()
                others &= ~self._add_class(class_G, labels, places, starts, blocks.slot)
        slot = take(blocks.slot, labels.long()).masked_fill_(~others, self.width - 1)
        for corner, start_G in zip(self.grid.corners, starts, strict=True):
            weight = self.grid.weights(corner, places)
            self.weights.index_add_(0, (slot + start_G).flatten(), weight.flatten())

    def _add_class(
        self,
        class_G: Tensor,
        labels: Tensor,
        places: Sequence[Tensor],
        starts: Sequence[Tensor],
        slot: Tensor,
    ) -> Tensor:
        """Add one class of each block; returns which of the labels (O, ..., G) are its."""
        chosen = labels == class_G.to(labels.dtype)
        slot_G = take(slot, class_G)
        sums = self.grid.summed_weights(chosen, places)
        for start_G, weight_G in zip(starts, sums, strict=True):
            self.weights.index_add_(0, start_G + slot_G, weight_G)
        return chosen

    def _starts(self, places: Sequence[Tensor]) -> list[Tensor]:
        """For each corner of some blocks, where the weights of its cell start."""
        # Corners may lie outside of the band, or of the map: a margin of one cell around it.
        shape = [size + 2 for size in self.grid.whole_weights.shape]
        shape[0] = self.bottom - self.top + 2
        starts = torch.full((torch.Size(shape).numel(),), len(self.start_M) * self.width)
        cells = [self.cells[0] - self.top + 1, *(cell + 1 for cell in self.cells[1:])]
        starts[_flat(cells, shape)] = self.start_M
        from_top = [places[0] - self.top, *places[1:]]
        of_corners = []
        for corner in self.grid.corners:
            near = [place + side for place, side in zip(from_top, corner, strict=True)]
            of_corners.append(take(starts, _flat(near, shape)))
        return of_corners


def _flat(coordinates: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Positions in a flat tensor of this shape."""
    steps = zip(coordinates, strides(shape), strict=True)
    return reduce(torch.add, (place * step for place, step in steps))
