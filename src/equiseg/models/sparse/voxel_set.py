"""VoxelSet: occupied voxels with cached keys, coarser sets and kernel maps."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from equiseg.models.sparse.kernel_maps import Groups, KernelMap, group_equal

MAX_KERNEL, MAX_STRIDE = 9, 8
# Free cells between one line of voxels and the next. Twice the width of a kernel, because target
# voxels may be a kernel's width beyond the border.
_MARGIN = 2 * MAX_KERNEL


class VoxelSet:
    """Occupied voxels of a batch, shared by all sparse tensors on them.

    Sorted keys, coarser sets and kernel maps are computed on first use and cached, so the layers of
    a network and their backward passes share them.

    Args:
        coordinates_N4: (N, 4) integers: batch, x, y, z, in units of the finest voxels, so multiples
            of ``stride``. x, y and z may be negative. The order is kept; stored as int64.
        stride: Side of a voxel of this set in finest voxels.

    Raises:
        TypeError: If the coordinates are not integers.
        ValueError: If their shape or the stride is wrong. Also, when keys are first used, if voxels
            repeat, are no multiples of the stride, or are too far apart.
    """

    def __init__(self, coordinates_N4: Tensor, stride: int = 1) -> None:
        if coordinates_N4.is_floating_point():
            raise TypeError(
                f"coordinates_N4 must be integers, got {coordinates_N4.dtype}; "
                "voxelize points first"
            )
        if coordinates_N4.ndim != 2 or coordinates_N4.shape[1] != 4:
            raise ValueError(
                "coordinates_N4 must have shape (N, 4) for batch, x, y, z, "
                f"got {tuple(coordinates_N4.shape)}"
            )
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        self.coordinates_N4, self.stride = coordinates_N4.long(), stride
        self._coarser: dict[int, tuple[VoxelSet, Groups]] = {}
        self._maps: dict[tuple[int, int], tuple[KernelMap, VoxelSet | None]] = {}

    def __len__(self) -> int:
        """Number of voxels N."""
        return len(self.coordinates_N4)

    def coarser(self, factor: int = 2) -> VoxelSet:
        """The voxels of ``factor`` times the side that contain at least one voxel of this set.

        Their coordinates are rounded down to multiples of the new stride, and sorted by batch, z,
        y and x.
        """
        return self._coarser_with_children(factor)[0]

    def children(self, factor: int = 2) -> Groups:
        """The rows of this set in each voxel of ``coarser(factor)``."""
        return self._coarser_with_children(factor)[1]

    def kernel_map(self, kernel_size: int, targets: VoxelSet | None = None) -> KernelMap:
        """The pairs of voxels of this set with target voxels, under each offset of a kernel.

        Offsets are in voxels of this set. An odd kernel is centered on the target; an even one
        starts at it: offsets 0 and 1 for kernel size 2, the 8 voxels inside a target of twice the
        side. They are numbered with x fastest, then y, then z.

        Args:
            kernel_size: Side of the kernel, 1 to 9.
            targets: Coarser voxels; by default this set itself.
        """
        targets = self if targets is None else targets
        key = (kernel_size, id(targets))
        if key not in self._maps:
            own = targets is self
            found = KernelMap(self._find(kernel_size, targets), len(self), submanifold=own)
            # Other targets are referenced, so that their id is not reused. This set is not: a
            # reference cycle would keep it alive after its last user.
            self._maps[key] = (found, None if own else targets)
        return self._maps[key][0]

    def _coarser_with_children(self, factor: int) -> tuple[VoxelSet, Groups]:
        if factor not in self._coarser:
            self._sorted  # noqa: B018 refuses coordinates that are off the stride or doubled
            self._coarser[factor] = cells_of(self.coordinates_N4, self.stride * factor)
        return self._coarser[factor]

    @cached_property
    def _packing(self) -> Packing:
        return Packing.around(self.coordinates_N4, self.stride)

    @cached_property
    def _sorted(self) -> tuple[Tensor, Tensor]:
        """Sorted keys and their rows, each with a sentinel at the end."""
        off = (self.coordinates_N4[:, 1:] % self.stride != 0).any(1)
        if off.any():
            example = self.coordinates_N4[off][0].tolist()
            raise ValueError(
                f"coordinates_N4 must be multiples of stride {self.stride}, got {example}; they "
                "count in the finest voxels"
            )
        keys_N, rows_N = self._packing.keys(self.coordinates_N4).sort()
        doubled = keys_N[1:] == keys_N[:-1]
        if doubled.any():
            example = self.coordinates_N4[rows_N[1:][doubled][0]].tolist()
            raise ValueError(
                f"coordinates_N4 must not repeat, got {example} twice ({int(doubled.sum())} rows "
                "too many); use SparseTensor.merge to sum or average them"
            )
        end = keys_N.new_tensor([torch.iinfo(torch.int64).max])
        return torch.cat((keys_N, end)), torch.cat((rows_N, rows_N.new_tensor([-1]))).int()

    def _find(self, kernel_size: int, targets: VoxelSet) -> Tensor:
        """(V, N) int32 row of this set at each offset from each target, -1 where there is none.

        One search finds the start of a line of the kernel along x; the rest of the line follows
        directly. If the targets are this set, half of the offsets are searched, the others are
        their mirror images, and the middle one is left out.
        """
        keys, rows = self._sorted
        # In the order of the keys, neighbors are close in memory.
        target_rows = targets._sorted[1][:-1]
        target_keys = self._packing.keys(targets.coordinates_N4[target_rows.long()])
        volume, mirrored = kernel_size**3, targets is self
        middle = volume // 2 if mirrored else -1
        first = -(kernel_size // 2) if kernel_size % 2 else 0
        table_VN = rows.new_full((volume, len(targets)), -1)
        for line in range(max(middle, 0) // kernel_size, kernel_size**2):
            dz, dy = line // kernel_size + first, line % kernel_size + first
            wanted = target_keys + self._packing.step(first, dy, dz)
            place = torch.searchsorted(keys, wanted)
            for v in range(line * kernel_size, (line + 1) * kernel_size):
                found = keys[place] == wanted
                if v > middle:
                    hits = found.nonzero().flatten()
                    source, target = rows[place[hits]], target_rows[hits]
                    table_VN[v, target.long()] = source
                    if mirrored:
                        table_VN[volume - 1 - v, source.long()] = target
                place += found
                wanted += 1
        return table_VN


def cells_of(coordinates_N4: Tensor, stride: int) -> tuple[VoxelSet, Groups]:
    """The voxels of a stride that contain any of these places, and the places in each voxel."""
    cells_N4 = coordinates_N4.clone()
    cells_N4[:, 1:] = cells_N4[:, 1:] // stride * stride
    places = group_equal(Packing.around(cells_N4, stride).keys(cells_N4))
    first = places.members[places.starts[:-1].long()].long()
    return VoxelSet(cells_N4[first], stride), places


class Packing:
    """One int64 key per voxel: batch, z, y, x in a box around the occupied voxels.

    A neighbor across the border falls into a margin, never onto a voxel of the next line.

    Args:
        stride: Side of a voxel in units of the coordinates.
        lower: Smallest batch, x, y, z of a voxel, in voxels.
        upper: Largest batch, x, y, z of a voxel, in voxels.
    """

    def __init__(self, stride: int, lower: list[int], upper: list[int]) -> None:
        self._stride, self._lower, self._upper = stride, lower, upper
        x, y, z = (high - low + 1 + _MARGIN for low, high in zip(lower[1:], upper[1:], strict=True))
        self._weights = [x * y * z, 1, x, x * y]

    @classmethod
    def around(cls, coordinates_N4: Tensor, stride: int) -> Packing:
        """The packing of these coordinates.

        Raises:
            ValueError: If a batch index is negative or the box has too many cells for an int64.
        """
        if not len(coordinates_N4):
            return cls(stride, [0] * 4, [0] * 4)
        ends = torch.stack((coordinates_N4.amin(0), coordinates_N4.amax(0))).tolist()
        if ends[0][0] < 0:
            raise ValueError(f"batch indices of coordinates_N4 start at 0, got {ends[0][0]}")
        lower, upper = ([end[0], *(cell // stride for cell in end[1:])] for end in ends)
        packing = cls(stride, lower, upper)
        # One spare batch for lookups beyond the last voxel.
        if (upper[0] + 2) * packing._weights[0] >= 2**63:
            raise ValueError(
                f"coordinates_N4 from {ends[0]} to {ends[1]} at stride {stride} span more cells "
                "than an int64 key can number; move scans to a common origin or use larger voxels"
            )
        return packing

    def keys(self, coordinates_N4: Tensor) -> Tensor:
        """(N,) int64 keys of any places; places beyond the box are clamped to its border."""
        keys_N = coordinates_N4[:, 0] * self._weights[0]
        for axis in (1, 2, 3):
            lower, upper = self._lower[axis], self._upper[axis]
            cell_N = coordinates_N4[:, axis] // self._stride
            cell_N = cell_N.clamp(lower - MAX_KERNEL, upper + MAX_KERNEL) - lower
            keys_N += cell_N * self._weights[axis]
        return keys_N

    def step(self, dx: int, dy: int, dz: int) -> int:
        """The difference of keys for an offset in voxels."""
        return dx + dy * self._weights[2] + dz * self._weights[3]
