"""SparseTensor: features on occupied voxels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from equiseg.models.sparse.voxel_set import VoxelSet, cells_of


class SparseTensor:
    """Features of occupied voxels. The rows keep the order that the caller gives.

    Args:
        coordinates_N4: (N, 4) integers: batch, x, y, z, in units of the finest voxels, without
            duplicates. N may be 0, and samples of the batch may be empty.
        features_NC: (N, C).
        stride: Side of a voxel in finest voxels; the coordinates are multiples of it.

    Attributes:
        voxels: The :class:`VoxelSet`, shared by all tensors that :meth:`replace` derives.
        features: (N, C).

    Raises:
        TypeError: If the coordinates are not integers.
        ValueError: If shapes do not fit. Also, when a layer first uses the coordinates, if voxels
            repeat, are no multiples of the stride, or are too far apart for an int64 key.
    """

    def __init__(self, coordinates_N4: Tensor, features_NC: Tensor, stride: int = 1) -> None:
        self._set(VoxelSet(coordinates_N4, stride), features_NC)

    @classmethod
    def on(cls, voxels: VoxelSet, features_NC: Tensor) -> SparseTensor:
        """A tensor on an existing set of voxels."""
        tensor = cls.__new__(cls)
        tensor._set(voxels, features_NC)
        return tensor

    @classmethod
    def merge(
        cls,
        coordinates_N4: Tensor,
        features_NC: Tensor,
        reduce: Literal["sum", "mean"] = "mean",
        stride: int = 1,
    ) -> SparseTensor:
        """Merge rows of the same voxel; their features are summed or averaged, with gradient.

        Coordinates are rounded down to multiples of ``stride``. The rows of the result are sorted
        by batch, z, y and x.

        Raises:
            ValueError: If ``reduce`` is unknown, or the arguments are invalid for the class.
        """
        if reduce not in ("sum", "mean"):
            raise ValueError(f"reduce must be 'sum' or 'mean', got {reduce!r}")
        doubled = cls(coordinates_N4, features_NC, stride)  # its keys are never computed
        voxels, rows = cells_of(doubled.coordinates, stride)
        return cls.on(voxels, rows.reduce(features_NC, reduce))

    def replace(self, features_NC: Tensor) -> SparseTensor:
        """A tensor with other features on the same voxels."""
        return SparseTensor.on(self.voxels, features_NC)

    @property
    def coordinates(self) -> Tensor:
        """(N, 4) batch, x, y, z."""
        return self.voxels.coordinates_N4

    @property
    def stride(self) -> int:
        """Side of a voxel in finest voxels."""
        return self.voxels.stride

    def __len__(self) -> int:
        """Number of voxels N."""
        return len(self.voxels)

    def __repr__(self) -> str:
        return (
            f"SparseTensor({len(self)} voxels, {self.features.shape[1]} channels, "
            f"stride {self.stride}, {self.features.dtype})"
        )

    def _set(self, voxels: VoxelSet, features_NC: Tensor) -> None:
        if features_NC.ndim != 2 or len(features_NC) != len(voxels):
            raise ValueError(
                f"features_NC must have one row for each of the {len(voxels)} voxels, "
                f"got {tuple(features_NC.shape)}"
            )
        if features_NC.device != voxels.coordinates_N4.device:
            raise ValueError(
                f"features_NC are on {features_NC.device}, coordinates_N4 on "
                f"{voxels.coordinates_N4.device}; move both to one device"
            )
        self.voxels, self.features = voxels, features_NC
