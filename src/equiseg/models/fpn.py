"""A small feature pyramid network, which trains from scratch in minutes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.models.batch_norm import advises_on_batch_norm


@runtime_checkable
class Encoder(Protocol):
    """The encoder of a pyramid: maps at strides 4, 8, 16 and 32 from RGB images in [0, 1].

    ``out_channels`` has their channels in this order. The encoder normalises the images itself.
    Given the maps of its first stages instead of images, it continues from these maps.
    """

    out_channels: tuple[int, ...]

    def __call__(self, inputs: Tensor | list[Tensor]) -> list[Tensor]:
        """(B, 3, H, W), or the maps of the first stages, to four maps."""
        ...


class FPN(nn.Module):
    """Encoder, top-down pathway with lateral connections, pixel classifier.

    A lighter version of the semantic branch of Lin et al. 2017 (arXiv 1612.03144): one 3x3
    convolution on the stride-4 map gives the input of the classifier (and of the center collapse
    branch).

    Args:
        encoder: Module with ``out_channels`` for strides 4, 8, 16 and 32.
        num_classes: Number of classes K.
        dim: Channels D of the last-layer features. 96 is enough for an exact simplex of up to 97
            classes, and still cheap on two cores.

    Shape:
        (B, 3, H, W) in [0, 1], H and W at least 32, to logits (B, K, ceil(H/4), ceil(W/4)).
    """

    classifier_name = "classifier"

    def __init__(self, encoder: nn.Module, num_classes: int, dim: int = 96) -> None:
        super().__init__()
        channels: tuple[int, ...] = encoder.out_channels  # type: ignore[assignment]
        self.encoder = encoder
        self.laterals = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in channels)
        self.smooth = _conv(dim, dim)
        self.classifier = nn.Conv2d(dim, num_classes, 1)

    @advises_on_batch_norm
    def forward(self, inputs: Tensor | list[Tensor]) -> Tensor:
        """Logits (B, K, h, w) at stride 4, of images or of their maps from the first stages."""
        maps = self.encoder(inputs)
        top = self.laterals[-1](maps[-1])
        for lateral, finer in zip(reversed(self.laterals[:-1]), reversed(maps[:-1]), strict=True):
            top = lateral(finer) + F.interpolate(top, finer.shape[2:], mode="bilinear")
        logits: Tensor = self.classifier(self.smooth(top))
        return logits

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, for a separate learning rate."""
        return self.encoder.parameters()


class SmallEncoder(nn.Module):
    """Residual encoder of about 0.9 M parameters, with most of its layers at stride 8 and more.

    Args:
        channels: Channels at strides 4, 8, 16 and 32.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: tuple[int, int, int, int] = (40, 64, 96, 128)) -> None:
        super().__init__()
        self.out_channels = channels
        # The usual means and standard deviations of ImageNet.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))
        self.stem = _conv(3, channels[0] // 2, stride=2)
        sources = (channels[0] // 2, *channels[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(source, target, stride=2), _Residual(target))
            for source, target in zip(sources, channels, strict=True)
        )

    def stage_modules(self) -> list[list[nn.Module]]:
        """The modules behind each map, from the image on."""
        return [[self.stem, self.stages[0]], *([stage] for stage in self.stages[1:])]

    def forward(self, inputs: Tensor | list[Tensor]) -> list[Tensor]:
        """Four maps at strides 4, 8, 16 and 32."""
        if isinstance(inputs, Tensor):
            inputs = (inputs - self.mean) / self.std
        return run_stages(inputs, self.stage_modules())

    def frozen_maps(self, images: Tensor, stages: int) -> list[Tensor]:
        """Maps of the first stages only."""
        return run_stages((images - self.mean) / self.std, self.stage_modules()[:stages])


def run_stages(inputs: Tensor | list[Tensor], stages: list[list[nn.Module]]) -> list[Tensor]:
    """Maps of all stages, from a normalised image or from the maps of the first stages."""
    maps = [] if isinstance(inputs, Tensor) else list(inputs)
    x = inputs if isinstance(inputs, Tensor) else maps[-1]
    for stage in stages[len(maps) :]:
        for module in stage:
            x = module(x)
        maps.append(x)
    return maps


class _Residual(nn.Module):
    """Two 3x3 convolutions with a skip; they start at zero, which keeps deep networks stable."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


def _conv(source: int, target: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(source, target, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True),
    )
