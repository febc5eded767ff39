"""The architectures of the library transformers that have a name here, at published sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from equiseg.models.wrapped import IMAGENET_MEAN, IMAGENET_STD

_HALF = (0.5, 0.5, 0.5)


def _own_logits(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images).logits
    return logits


def _upernet_logits(network: Any, images: Tensor) -> Tensor:
    # network(images) would resize the logits to the image, which the caller does anyway.
    logits: Tensor = network.decode_head(network.backbone(images).feature_maps)
    return logits


@dataclass(frozen=True)
class Architecture:
    """An architecture of the library transformers at one size.

    Attributes:
        network: Class of transformers with encoder and decoder.
        encoder: Dotted name of the encoder inside it.
        classifier: Dotted name of its pixel classifier.
        multiple: The sides of an image must be multiples of it.
        sizes: Settings of the encoder that define its size; pretrained weights must agree.
        defaults: Settings for a random start; pretrained weights have their own.
        settings: Settings that always apply, also over settings of the weights.
        backbone: Family ("Swin") of an encoder that is a separate model; None if it is not.
        logits: Function from network and normalised images to logits.
        mean: Mean of each colour for the published weights.
        std: Standard deviation of each colour, likewise.
    """

    network: str
    encoder: str
    classifier: str
    multiple: int
    sizes: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: str | None = None
    logits: Callable[[nn.Module, Tensor], Tensor] = _own_logits
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def _segformer(hidden_sizes: list[int], depths: list[int], decoder: int) -> Architecture:
    """Xie et al. 2021, arXiv 2105.15203."""
    return Architecture(
        network="SegformerForSemanticSegmentation",
        encoder="segformer",
        classifier="decode_head.classifier",
        multiple=4,
        sizes={"hidden_sizes": hidden_sizes, "depths": depths},
        defaults={"decoder_hidden_size": decoder},
    )


def _upernet(backbone: str, **sizes: Any) -> Architecture:
    """Xiao et al. 2018, arXiv 1807.10221, on four stages of the backbone."""
    return Architecture(
        network="UperNetForSemanticSegmentation",
        encoder="backbone",
        classifier="decode_head.classifier",
        multiple=4,
        sizes=sizes,
        settings={"use_auxiliary_head": False},
        backbone=backbone,
        logits=_upernet_logits,
    )


def _swin(embed_dim: int, depths: list[int], num_heads: list[int]) -> Architecture:
    """Liu et al. 2021, arXiv 2103.14030."""
    return _upernet("Swin", embed_dim=embed_dim, depths=depths, num_heads=num_heads)


def _convnext(hidden_sizes: list[int], depths: list[int]) -> Architecture:
    """Liu et al. 2022, arXiv 2201.03545."""
    return _upernet("ConvNext", hidden_sizes=hidden_sizes, depths=depths)


def _beit(hidden_size: int, layers: int, heads: int, out_indices: list[int]) -> Architecture:
    """Bao et al. 2021, arXiv 2106.08254, as its ADE20K checkpoints are configured."""
    return Architecture(
        network="BeitForSemanticSegmentation",
        encoder="beit",
        classifier="decode_head.classifier",
        multiple=16,
        sizes={
            "hidden_size": hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden_size,
        },
        defaults={"use_relative_position_bias": True},
        settings={"out_indices": out_indices, "use_auxiliary_head": False},
        mean=_HALF,
        std=_HALF,
    )


_MOBILENETV2 = Architecture(
    # Sandler et al. 2018, arXiv 1801.04381, section 6.3: the light head on a stride-8 encoder.
    network="MobileNetV2ForSemanticSegmentation",
    encoder="mobilenet_v2",
    classifier="segmentation_head.classifier.convolution",
    multiple=8,
    sizes={"depth_multiplier": 1.0},
    # DeepLab's dropout is 0.1; the default 0.8 in transformers was the keep rate of TensorFlow.
    settings={"output_stride": 8, "classifier_dropout_prob": 0.1},
    mean=_HALF,
    std=_HALF,
)

ARCHITECTURES: dict[str, Architecture] = {
    "segformer-b0": _segformer([32, 64, 160, 256], [2, 2, 2, 2], decoder=256),
    "segformer-b1": _segformer([64, 128, 320, 512], [2, 2, 2, 2], decoder=256),
    "segformer-b2": _segformer([64, 128, 320, 512], [3, 4, 6, 3], decoder=768),
    "segformer-b3": _segformer([64, 128, 320, 512], [3, 4, 18, 3], decoder=768),
    "segformer-b4": _segformer([64, 128, 320, 512], [3, 8, 27, 3], decoder=768),
    "segformer-b5": _segformer([64, 128, 320, 512], [3, 6, 40, 3], decoder=768),
    "upernet-swin-t": _swin(96, [2, 2, 6, 2], [3, 6, 12, 24]),
    "upernet-swin-s": _swin(96, [2, 2, 18, 2], [3, 6, 12, 24]),
    "upernet-swin-b": _swin(128, [2, 2, 18, 2], [4, 8, 16, 32]),
    "upernet-convnext-t": _convnext([96, 192, 384, 768], [3, 3, 9, 3]),
    "upernet-convnext-s": _convnext([96, 192, 384, 768], [3, 3, 27, 3]),
    "upernet-convnext-b": _convnext([128, 256, 512, 1024], [3, 3, 27, 3]),
    "deeplabv3plus-mobilenetv2": _MOBILENETV2,
    "beit-b": _beit(768, 12, 12, out_indices=[3, 5, 7, 11]),
    "beit-l": _beit(1024, 24, 16, out_indices=[7, 11, 15, 23]),
}
