"""Layers on sparse tensors. Weights are (V, C_in, C_out), offset x + k * y + k^2 * z of k^3 = V."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.models.sparse.convolution import convolve
from equiseg.models.sparse.kernel_maps import Groups, Walk, group_equal
from equiseg.models.sparse.tensor import SparseTensor
from equiseg.models.sparse.voxel_set import MAX_KERNEL, MAX_STRIDE, VoxelSet


class _SparseConvolution(nn.Module):
    """A weight for each offset, and a bias.

    The weight has the axes of ``torch.nn.Conv3d`` in reverse order: ``weight.view(k, k, k, C_in,
    C_out).permute(4, 3, 2, 1, 0)`` is (C_out, C_in, x, y, z). MinkowskiEngine's kernels have the
    same layout.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool, fan_in: int
    ) -> None:
        super().__init__()
        if not 1 <= kernel_size <= MAX_KERNEL:
            raise ValueError(f"kernel_size must be 1 to {MAX_KERNEL}, got {kernel_size}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.empty(kernel_size**3, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        bound = 1 / math.sqrt(fan_in)  # as torch's convolutions start
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """The arguments that ``print`` shows."""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"

    def _checked(self, x: SparseTensor) -> Tensor:
        if x.features.shape[1] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} takes {self.in_channels} channels, "
                f"got {x.features.shape[1]}"
            )
        return x.features

    def _convolve(self, x: SparseTensor, there: Walk, back: Walk) -> Tensor:
        return self._biased(convolve(self._checked(x), self.weight, there, back))

    def _biased(self, features_NC: Tensor) -> Tensor:
        return features_NC if self.bias is None else features_NC + self.bias.to(features_NC.dtype)


class SubmanifoldConv3d(_SparseConvolution):
    """Convolution onto the voxels of its input (Graham et al. 2018, arXiv 1711.10275).

    Equal to a dense ``Conv3d`` with padding ``kernel_size // 2`` at the occupied voxels. Kernel
    size 1 is a linear layer.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd side of the kernel in voxels of the input, at most 9.
        bias: Whether the layer has a bias.

    Raises:
        ValueError: If the kernel size is even or too large, or the input has other channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, *, bias: bool = True
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {kernel_size}; SparseConv3d takes even ones"
            )
        fan_in = in_channels * kernel_size**3
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, fan_in=fan_in)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels, ``out_channels`` features."""
        if self.kernel_size == 1:
            return x.replace(self._biased(self._checked(x) @ self.weight[0]))
        pairs = x.voxels.kernel_map(self.kernel_size)
        return x.replace(self._convolve(x, pairs.there, pairs.back))


class SparseConv3d(_SparseConvolution):
    """Convolution onto the coarser voxels, of ``stride`` times the side, that contain input voxels.

    An even kernel starts at the first corner of the coarse voxel, an odd one is centered on it, as
    a dense ``Conv3d`` with padding 0 or ``kernel_size // 2`` does.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel in voxels of the input, at most 9.
        stride: Ratio of the sides, 1 to 8.
        bias: Whether the layer has a bias.

    Raises:
        ValueError: If a size is out of range, or the input has other channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 2,
        stride: int = 2,
        *,
        bias: bool = True,
    ) -> None:
        fan_in = in_channels * kernel_size**3
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, fan_in=fan_in)
        self.stride = _checked_stride(stride)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The coarser voxels, ``out_channels`` features."""
        coarse = x.voxels.coarser(self.stride)
        pairs = x.voxels.kernel_map(self.kernel_size, coarse)
        return SparseTensor.on(coarse, self._convolve(x, pairs.there, pairs.back))


class SparseConvTranspose3d(_SparseConvolution):
    """Transpose of :class:`SparseConv3d`: from coarse voxels onto given finer voxels.

    Fine voxels that no coarse voxel reaches get zero (or the bias).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel in fine voxels, at most 9.
        stride: Ratio of the sides, 1 to 8.
        bias: Whether the layer has a bias.

    Raises:
        ValueError: If a size is out of range, the input has other channels, or ``onto`` has another
            stride than the input's over ``stride``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 2,
        stride: int = 2,
        *,
        bias: bool = True,
    ) -> None:
        fan_in = max(1, in_channels * kernel_size**3 // stride**3)  # products per fine voxel
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, fan_in=fan_in)
        self.stride = _checked_stride(stride)

    def forward(self, x: SparseTensor, onto: VoxelSet) -> SparseTensor:
        """The voxels of ``onto`` (the ``voxels`` of a finer tensor), ``out_channels`` features."""
        if onto.stride * self.stride != x.stride:
            raise ValueError(
                f"onto must have stride {x.stride} / {self.stride}, got {onto.stride}; give the "
                "voxels that the matching SparseConv3d started from"
            )
        pairs = onto.kernel_map(self.kernel_size, x.voxels)
        return SparseTensor.on(onto, self._convolve(x, pairs.back, pairs.there))


class SparsePool3d(nn.Module):
    """Maximum, mean or sum over the occupied voxels in each voxel of ``stride`` times the side.

    Args:
        mode: "max", "mean" or "sum". Empty voxels do not count: a mean is over the occupied voxels.
        stride: Ratio of the sides.
    """

    def __init__(self, mode: Literal["max", "mean", "sum"], stride: int = 2) -> None:
        super().__init__()
        self.mode, self.stride = _checked_mode(mode), _checked_stride(stride)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The coarser voxels, the same channels."""
        pooled = x.voxels.children(self.stride).reduce(x.features, self.mode)
        return SparseTensor.on(x.voxels.coarser(self.stride), pooled)


class GlobalPool(nn.Module):
    """Maximum, mean or sum over all voxels of a sample.

    Args:
        mode: "max", "mean" or "sum".
    """

    def __init__(self, mode: Literal["max", "mean", "sum"]) -> None:
        super().__init__()
        self.mode = _checked_mode(mode)

    def forward(self, x: SparseTensor, batch_size: int) -> Tensor:
        """Pooled features (B, C), zero for samples without voxels."""
        batch_N = x.coordinates[:, 0]
        ends_B = torch.bincount(batch_N, minlength=batch_size).cumsum(0).int()
        if len(ends_B) > batch_size:
            raise ValueError(
                f"batch_size must cover the batch indices up to {len(ends_B) - 1}, got {batch_size}"
            )
        members = group_equal(batch_N).members
        groups = Groups(members, torch.cat((ends_B.new_zeros(1), ends_B)))
        return groups.reduce(x.features, self.mode)


class BatchNorm(nn.Module):
    """Batch normalisation over all voxels of the batch.

    In training with less than two voxels, which have no variance, it uses its running statistics: a
    coarse level of a small crop may have a single voxel. (``SyncBatchNorm``, into which torch
    converts ``bn``, counts the voxels of all ranks instead.)

    Args:
        channels: Channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn: nn.Module = nn.BatchNorm1d(channels)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels and channels."""
        bn = self.bn
        if isinstance(bn, nn.BatchNorm1d) and len(x) < 2:
            return x.replace(
                F.batch_norm(
                    x.features, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps
                )
            )
        return x.replace(bn(x.features))


class ReLU(nn.Module):
    """Rectifier.

    Args:
        inplace: Whether it overwrites its input.
    """

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: SparseTensor) -> SparseTensor:
        """The same voxels and channels."""
        return x.replace(F.relu(x.features, inplace=self.inplace))


def _checked_stride(stride: int) -> int:
    if not 1 <= stride <= MAX_STRIDE:
        raise ValueError(f"stride must be 1 to {MAX_STRIDE}, got {stride}")
    return stride


def _checked_mode(mode: str) -> str:
    if mode not in ("max", "mean", "sum"):
        raise ValueError(f"mode must be 'max', 'mean' or 'sum', got {mode!r}")
    return mode
