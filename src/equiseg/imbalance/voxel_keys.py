"""One number for each voxel, from which the numbers of its neighbours follow."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class VoxelKeys(NamedTuple):
    """Sorted keys of V voxels; a step along an axis adds the stride of the axis.

    Attributes:
        keys_V: (V,) int64, ascending.
        order_V: (V,) int64, the row of the coordinates of each key.
        strides_A: (A,) int64, one for each column of the coordinates.
    """

    keys_V: NDArray[np.int64]
    order_V: NDArray[np.int64]
    strides_A: NDArray[np.int64]

    @classmethod
    def of(cls, coordinates_VA: NDArray[np.integer[Any]]) -> VoxelKeys:
        """The keys of voxels.

        Args:
            coordinates_VA: (V, A) x, y, z, or scan, x, y, z; each voxel once, in any order.

        Raises:
            ValueError: If a voxel is repeated, or the box around the voxels has 2^63 places or
                more.
        """
        cells_VA = coordinates_VA.astype(np.int64)
        if len(cells_VA):
            cells_VA -= cells_VA.min(axis=0)
        # A margin on each axis keeps the end of one row from touching the start of the next.
        extent = [int(side) + 2 for side in cells_VA.max(axis=0, initial=0)]
        if math.prod(extent) >= 2**63:
            raise ValueError(
                f"voxels must span a box of fewer than 2^63, got {extent} along the columns of the "
                "coordinates; remove points that lie far outside, or take larger voxels"
            )
        strides_A = np.cumprod([1, *extent[:0:-1]])[::-1]
        keys_V = cells_VA @ strides_A
        order_V = np.argsort(keys_V)
        keys_V = keys_V[order_V]
        if twice := int((keys_V[1:] == keys_V[:-1]).sum()):
            raise ValueError(
                f"coordinates must hold each voxel once, got {twice} of {len(keys_V)} again; "
                "voxelize the points first"
            )
        return cls(keys_V, order_V, strides_A)

    def pairs(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in ``keys_V`` of all pairs whose keys differ by a step."""
        wanted_V = self.keys_V + step
        rows_V = np.searchsorted(self.keys_V, wanted_V).clip(max=max(len(wanted_V) - 1, 0))
        first = np.flatnonzero(self.keys_V[rows_V] == wanted_V)
        return first, rows_V[first]
