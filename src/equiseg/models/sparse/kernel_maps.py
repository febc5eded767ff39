"""KernelMap: the pairs of voxels under each offset of a kernel, in tiles of rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

# Rows of a tile. On a CPU, the gathered rows of a tile stay in the shared cache: at 47k voxels of 8
# neighbors, times with 1024 to 16384 rows differ by at most 10 %, and all rows at once take up to 3
# times as long (32 channels). An accelerator is faster with few large launches.
_TILE_ROWS = {"cpu": 2**12}
_TILE_ROWS_ELSEWHERE = 2**16


class Groups(NamedTuple):
    """Rows in groups: group g has the rows ``members[starts[g] : starts[g + 1]]``.

    Attributes:
        members: (P,) int32 row numbers, in ascending order within a group.
        starts: (G + 1,) int32.
    """

    members: Tensor
    starts: Tensor

    def reduce(self, values_NC: Tensor, mode: str) -> Tensor:
        """(G, C) sum, mean or max of each group, zero where it is empty.

        Each group is summed in float32 or better, in an order that does not depend on the threads.
        """
        if not len(self.members):  # embedding_bag refuses a table without rows
            return values_NC.new_zeros(len(self.starts) - 1, values_NC.shape[1]) + values_NC.sum(0)
        return torch.nn.functional.embedding_bag(
            self.members, values_NC, self.starts, mode=mode, include_last_offset=True
        )


def group_equal(keys_N: Tensor) -> Groups:
    """Rows of equal keys, the groups in ascending order of their keys."""
    keys_N, rows_N = keys_N.sort(stable=True)
    new = torch.ones(len(keys_N) + 1, dtype=torch.bool, device=keys_N.device)
    new[1:-1] = keys_N[1:] != keys_N[:-1]
    starts = new.nonzero().flatten() if len(keys_N) else keys_N.new_zeros(1)
    return Groups(rows_N.int(), starts.int())


class Tile(NamedTuple):
    """The pairs of a range of target rows.

    Attributes:
        rows: The targets.
        source_P: (P,) int32 rows of the sources; sorted by offset, then by target.
        target_P: (P,) int32 rows of the targets.
        sizes: Number of pairs of each offset, the size of its block.
        sums: The pairs of each target row.
    """

    rows: slice
    source_P: Tensor
    target_P: Tensor
    sizes: Sequence[int]
    sums: Groups


class Walk(NamedTuple):
    """The pairs by target row: each row sums over its pairs with rows of the other side.

    Attributes:
        rows: Number of target rows.
        tiles: The pairs, in tiles of target rows.
        offsets: Number of the weight of each block of a tile.
        center: Number of the weight that pairs every row with itself, if there is one; it needs no
            gathering and is in no tile.
    """

    rows: int
    tiles: Sequence[Tile]
    offsets: Sequence[int]
    center: int | None


class KernelMap:
    """Pairs of a source and a target voxel for each offset of a kernel.

    Args:
        table_VN: (V, N) int32, the source of each target under each of the V offsets; -1 if there
            is none.
        num_sources: Number of source rows.
        submanifold: Whether sources and targets are the same voxels. The table is then without the
            middle offset.

    Attributes:
        there: The pairs by target.
    """

    def __init__(self, table_VN: Tensor, num_sources: int, *, submanifold: bool = False) -> None:
        volume, num_targets = table_VN.shape
        center = volume // 2 if submanifold else None
        self.there = Walk(num_targets, _cut(table_VN), range(volume), center)
        self._num_sources = num_sources
        self._table_VN = None if submanifold else table_VN

    @cached_property
    def back(self) -> Walk:
        """The pairs by source, for gradients and transposed convolutions."""
        if self._table_VN is None:
            # If offset v pairs a with b, then V - 1 - v pairs b with a.
            return self.there._replace(offsets=self.there.offsets[::-1])
        table_VN = self._table_VN.new_full((len(self._table_VN), self._num_sources), -1)
        offset_P, target_P = (self._table_VN >= 0).nonzero().unbind(1)
        table_VN[offset_P, self._table_VN[offset_P, target_P].long()] = target_P.int()
        return Walk(self._num_sources, _cut(table_VN), self.there.offsets, None)


def _cut(table_VN: Tensor) -> list[Tile]:
    found_VN = table_VN >= 0
    step = _TILE_ROWS.get(table_VN.device.type, _TILE_ROWS_ELSEWHERE)
    starts = range(0, table_VN.shape[1], step)
    # One transfer for all sizes, so that there is one wait for an accelerator.
    sizes = [found_VN[:, start : start + step].sum(1) for start in starts]
    all_sizes = torch.stack(sizes).tolist() if sizes else []
    tiles = []
    for start, tile_sizes in zip(starts, all_sizes, strict=True):
        found_VT = found_VN[:, start : start + step]
        rows = found_VT.shape[1]
        place_P = found_VT.flatten().nonzero().flatten()
        source_P = table_VN[:, start : start + rows].flatten()[place_P]
        target_P = (place_P % rows).int()
        ends_T = found_VT.sum(0).cumsum(0, dtype=torch.int32)
        sums = Groups(target_P.argsort(stable=True).int(), torch.cat((ends_T.new_zeros(1), ends_T)))
        tiles.append(Tile(slice(start, start + rows), source_P, target_P + start, tile_sizes, sums))
    return tiles
