"""MinkUNet: residual U-Nets on sparse tensors (Choy et al. 2019, arXiv 1904.08755)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.models.sparse.layers import (
    BatchNorm,
    ReLU,
    SparseConv3d,
    SparseConvTranspose3d,
    SubmanifoldConv3d,
)
from equiseg.models.sparse.tensor import SparseTensor


class MinkUNet(nn.Module):
    """Encoder to stride 16, decoder back to the voxels, voxel classifier.

    The layout of MinkUNet in MinkowskiEngine's examples and of Res16UNet in its authors'
    SpatioTemporalSegmentation: a stem; four times a 2x2x2 convolution of stride 2 and residual
    blocks; four times its transpose, the features of the same stride concatenated, and residual
    blocks. Subclasses define width and depth.

    Args:
        in_channels: Channels of the input.
        num_classes: Number of classes K.
        stem_kernel: Side of the first kernel, odd. None takes the one of the class: 5, as in the
            examples of MinkowskiEngine (3 in ``MinkUNetSmall``). The network that the authors of
            ScanNet200 publish has 3.

    Raises:
        ValueError: If ``stem_kernel`` is not odd.

    Attributes:
        configuration: The arguments to build the network again, in addition to the name and K.

    Shape:
        A :class:`SparseTensor` of N voxels at stride 1 to logits (N, K), in the order of its rows.
    """

    classifier_name = "classifier"
    planes: tuple[int, ...]  # channels at strides 2, 4, 8, 16, then 8, 4, 2, 1
    layers: tuple[int, ...]  # residual blocks at each of these
    stem = 32
    stem_kernel = 5

    def __init__(
        self, in_channels: int, num_classes: int, *, stem_kernel: int | None = None
    ) -> None:
        super().__init__()
        self.configuration = {"in_channels": in_channels}
        if stem_kernel is not None and stem_kernel != self.stem_kernel:
            if stem_kernel < 1 or stem_kernel % 2 == 0:
                raise ValueError(f"stem_kernel must be odd, such as 3 or 5, got {stem_kernel}")
            self.stem_kernel = self.configuration["stem_kernel"] = stem_kernel
        self.standardize = Standardize(in_channels)
        self.encoder = MinkEncoder(
            in_channels, self.stem, self.stem_kernel, self.planes[:4], self.layers[:4]
        )
        skips = (*self.planes[2::-1], self.stem)
        sources = self.planes[3:7]
        self.decoder = nn.ModuleList(
            _Up(*sizes)
            for sizes in zip(sources, skips, self.planes[4:], self.layers[4:], strict=True)
        )
        self.classifier = nn.Linear(self.planes[7], num_classes)

    def forward(self, x: SparseTensor) -> Tensor:
        """Logits (N, K)."""
        *finer, x = self.encoder(x.replace(self.standardize(x.features)))
        for up, skip in zip(self.decoder, reversed(finer), strict=True):
            x = up(x, skip)
        logits: Tensor = self.classifier(x.features)
        return logits

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, for a separate learning rate."""
        return self.encoder.parameters()


class MinkUNet14A(MinkUNet):
    """One block per level; 96-channel features."""

    planes = (32, 64, 128, 256, 128, 128, 96, 96)
    layers = (1, 1, 1, 1, 1, 1, 1, 1)


class MinkUNet18A(MinkUNet14A):
    """Two blocks per level; 96-channel features."""

    layers = (2, 2, 2, 2, 2, 2, 2, 2)


class MinkUNet34A(MinkUNet):
    """The blocks of a ResNet-34; 64-channel features."""

    planes = (32, 64, 128, 256, 256, 128, 64, 64)
    layers = (2, 3, 4, 6, 2, 2, 2, 2)


class MinkUNet34C(MinkUNet34A):
    """Res16UNet34C, the usual network of ScanNet200: 37.9 M parameters, 96-channel features."""

    planes = (32, 64, 128, 256, 256, 128, 96, 96)


class MinkUNetSmall(MinkUNet):
    """1.4 M parameters, for training on two cores in minutes; 64-channel features."""

    planes = (24, 32, 48, 64, 64, 48, 48, 64)
    layers = (1, 1, 1, 1, 1, 1, 1, 1)
    stem = 16
    stem_kernel = 3


class Standardize(nn.Module):
    """Scales channels to mean 0 and standard deviation 1, measured once on the training data.

    The stem mixes the channels before the first normalisation, so intensities near 0.02 would have
    no effect next to heights of 40 m. Before ``measure``, the module changes nothing.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.zeros(channels))
        self.register_buffer("std_C", torch.ones(channels))

    def measure(self, samples: Iterable[Tensor]) -> None:
        """Measure mean and standard deviation over all rows of the samples, (N, C) each.

        A constant channel is not changed: it marks the occupied voxels.
        """
        count, sums_C, squares_C = 0, self.mean_C.double() * 0, self.mean_C.double() * 0
        for features_NC in samples:
            rows_NC = features_NC.to(sums_C)
            count += len(rows_NC)
            sums_C = sums_C + rows_NC.sum(0)
            squares_C = squares_C + (rows_NC**2).sum(0)
        mean_C = sums_C / max(count, 1)
        std_C = (squares_C / max(count, 1) - mean_C**2).clamp(min=0).sqrt()
        varies_C = std_C > 1e-6 * mean_C.abs().clamp(min=1)
        self.mean_C.copy_(torch.where(varies_C, mean_C, 0))
        self.std_C.copy_(torch.where(varies_C, std_C, 1))

    def forward(self, features_NC: Tensor) -> Tensor:
        """Standardized rows."""
        return (features_NC - self.mean_C) / self.std_C


class MinkEncoder(nn.Module):
    """Stem and four stages, each at half the resolution of the one before."""

    def __init__(
        self,
        in_channels: int,
        stem: int,
        stem_kernel: int,
        planes: tuple[int, ...],
        layers: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.stem = _Stem(in_channels, stem, stem_kernel)
        sources = (stem, *planes[:-1])
        self.stages = nn.ModuleList(
            _Down(*sizes) for sizes in zip(sources, planes, layers, strict=True)
        )

    def stage_modules(self) -> list[list[nn.Module]]:
        """The modules behind the maps at strides 2, 4, 8 and 16, from the input on."""
        return [[self.stem, self.stages[0]], *([stage] for stage in self.stages[1:])]

    def forward(self, x: SparseTensor) -> list[SparseTensor]:
        """Features at strides 1, 2, 4, 8 and 16."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps


class _Stem(nn.Sequential):
    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = SubmanifoldConv3d(in_channels, channels, kernel_size, bias=False)
        self.norm = BatchNorm(channels)
        self.relu = ReLU(inplace=True)


class _Down(nn.Sequential):
    def __init__(self, source: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv = SparseConv3d(source, source, bias=False)
        self.norm = BatchNorm(source)
        self.relu = ReLU(inplace=True)
        self.blocks = _blocks(source, channels, blocks)


class _Up(nn.Module):
    def __init__(self, source: int, skip: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv = SparseConvTranspose3d(source, channels, bias=False)
        self.norm = BatchNorm(channels)
        self.relu = ReLU(inplace=True)
        self.blocks = _blocks(channels + skip, channels, blocks)

    def forward(self, x: SparseTensor, skip: SparseTensor) -> SparseTensor:
        x = self.relu(self.norm(self.conv(x, skip.voxels)))
        joined: SparseTensor = self.blocks(skip.replace(torch.cat((x.features, skip.features), 1)))
        return joined


class _Block(nn.Module):
    """Two 3x3x3 convolutions with a skip; the skip is a linear layer if the channels change."""

    def __init__(self, source: int, channels: int) -> None:
        super().__init__()
        self.conv1 = SubmanifoldConv3d(source, channels, bias=False)
        self.norm1 = BatchNorm(channels)
        self.relu = ReLU(inplace=True)
        self.conv2 = SubmanifoldConv3d(channels, channels, bias=False)
        self.norm2 = BatchNorm(channels)
        self.shortcut = nn.Sequential()
        if source != channels:
            self.shortcut.append(SubmanifoldConv3d(source, channels, kernel_size=1, bias=False))
            self.shortcut.append(BatchNorm(channels))

    def forward(self, x: SparseTensor) -> SparseTensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        # Only the ReLU uses the output of a normalisation, so it may overwrite it.
        return x.replace(F.relu_(y.features.add_(self.shortcut(x).features)))


def _blocks(source: int, channels: int, number: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(source if i == 0 else channels, channels) for i in range(number)))
