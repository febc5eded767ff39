"""Class sums over a sparse label side and back, tile by tile, with one read of the small maps.

For each tile of cells, a dense product with the classes that occur in the tile: about a dozen of
150. It reads both memory formats without a transposed copy. The way back visits the same tiles.

Shapes: B batch, K classes, D dim, U cells of one map, E entries; T tiles of a group, C classes of a
tile, P cells of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

_TILE_CELLS = 2**11  # with 128 channels, 1 MB: a core's cache
_GROUP_VALUES = 2**20  # features or weights of the tiles that are multiplied in one call: 4 MB


class Side(NamedTuple):
    """The entries of a label side, see :class:`equiseg.LabelSide`; cells ascend."""

    class_E: Tensor
    cell_E: Tensor
    weight_E: Tensor


def sum_dtype(features: Tensor) -> torch.dtype:
    """The dtype of sums over these features: float64 for float64, else float32."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def summed_tiles(maps_BDU: Tensor, side: Side, num_classes: int) -> Tensor:
    """(K, D) sums of (B, D, U) maps."""
    dtype = sum_dtype(maps_BDU)
    sums_KD = maps_BDU.new_zeros(num_classes, maps_BDU.shape[1], dtype=dtype)
    for group in _groups(side, maps_BDU.shape, num_classes, dtype):
        tiles_TDP = group.tiles(maps_BDU).to(dtype)
        sums_TCD = torch.bmm(group.weights_TCP, tiles_TDP.transpose(1, 2))
        sums_KD.index_add_(0, group.classes_TC.flatten(), sums_TCD.flatten(0, 1))
    return sums_KD


def spread_tiles(gradient_KD: Tensor, side: Side, maps_BDU: Tensor) -> None:
    """Write S^T g to (B, D, U) maps."""
    num_classes = len(gradient_KD)
    for group in _groups(side, maps_BDU.shape, num_classes, gradient_KD.dtype):
        tiles_TDP = group.tiles(maps_BDU)
        rows_TDC = gradient_KD[group.classes_TC].transpose(1, 2)
        if tiles_TDP.dtype == gradient_KD.dtype:
            torch.bmm(rows_TDC, group.weights_TCP, out=tiles_TDP)
        else:
            tiles_TDP.copy_(torch.bmm(rows_TDC, group.weights_TCP))


class _Group(NamedTuple):
    """Tiles of one image that are multiplied together.

    Attributes:
        image: The image.
        cells: Its cells.
        classes_TC: (T, C) int64, the classes of each tile; one again, with weights of zero, where
            it has fewer.
        weights_TCP: (T, C, P) dense weights.
    """

    image: int
    cells: slice
    classes_TC: Tensor
    weights_TCP: Tensor

    def tiles(self, maps_BDU: Tensor) -> Tensor:
        """(T, D, P) view of these cells."""
        tiles, _, cells = self.weights_TCP.shape
        maps_DU = maps_BDU[self.image, :, self.cells]
        return maps_DU.view(len(maps_DU), tiles, cells).transpose(0, 1)


def _groups(
    side: Side, shape: torch.Size, num_classes: int, dtype: torch.dtype
) -> Iterator[_Group]:
    """All cells, in groups of tiles."""
    batch, dim, map_cells = shape
    present = int((torch.bincount(side.class_E, minlength=1) > 0).sum())
    # A power of two: a shift is ten times as fast as an integer division.
    tile_bits = (max(1, min(_TILE_CELLS, _GROUP_VALUES // max(present, 1)))).bit_length() - 1
    values = max(max(present, dim) << tile_bits, 8 * num_classes)  # of one tile
    size = max(1, _GROUP_VALUES // values) << tile_bits
    whole = map_cells >> tile_bits << tile_bits
    spans = [(start, min(start + size, whole)) for start in range(0, whole, size)]
    if whole < map_cells:
        spans.append((whole, map_cells))
    places = [(image * map_cells, *span) for image in range(batch) for span in spans]
    ends = torch.tensor([first_cell + stop for first_cell, _, stop in places])
    ends = torch.searchsorted(side.cell_E, ends.to(side.cell_E.dtype))
    first = 0
    for (first_cell, start, stop), last in zip(places, ends.tolist(), strict=True):
        tiles = max(1, (stop - start) >> tile_bits)
        cells = (stop - start) // tiles
        cell_E = side.cell_E[first:last] - (first_cell + start)
        key_E = ((cell_E >> tile_bits) * num_classes).add_(side.class_E[first:last]).long()
        occurs_TK = torch.zeros(tiles, num_classes, dtype=torch.bool)
        occurs_TK.view(-1).index_fill_(0, key_E, True)
        tile, class_ = occurs_TK.nonzero(as_tuple=True)
        slot_TK = occurs_TK.cumsum(1) - 1
        width = int(slot_TK[:, -1].max()) + 1
        classes_TC = occurs_TK.byte().argmax(1, keepdim=True).repeat(1, width)
        classes_TC[tile, slot_TK[tile, class_]] = class_
        # Cell p of tile t has its weight of slot c at (t width + c) cells + p.
        before_T = torch.arange(tiles).unsqueeze(1) * (width - 1)
        place_E = ((slot_TK + before_T) * cells).view(-1).index_select(0, key_E).add_(cell_E)
        weights = torch.zeros(tiles * width * cells, dtype=dtype)
        weights.scatter_(0, place_E, side.weight_E[first:last].to(dtype))
        yield _Group(
            first_cell // map_cells,
            slice(start, stop),
            classes_TC,
            weights.view(tiles, width, cells),
        )
        first = last
