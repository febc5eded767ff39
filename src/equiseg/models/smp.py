"""Networks of segmentation_models_pytorch by name: ``smp/<architecture>/<encoder>``."""

from __future__ import annotations

import difflib
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from equiseg.models.wrapped import IMAGENET_MEAN, IMAGENET_STD, Anatomy, WrappedNetwork

# Our name -> class and arguments in the library. Without the final upsampling, a network returns
# logits at its own stride; Unet ends at stride 1 and has no upsampling to remove.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "deeplabv3plus": ("DeepLabV3Plus", {"upsampling": 1}),
    "upernet": ("UPerNet", {"upsampling": 1}),
    "fpn": ("FPN", {"upsampling": 1}),
    "unet": ("Unet", {}),
}


def build_smp(name: str, num_classes: int, weights: str | Path | None = None) -> WrappedNetwork:
    """Build a network of segmentation_models_pytorch.

    Args:
        name: ``smp/<architecture>/<encoder>``, as "smp/deeplabv3plus/resnet50".
        num_classes: Number of classes K.
        weights: Name of the encoder weights in the library ("imagenet", usually downloaded), or
            None for a random start.

    Raises:
        ImportError: If the library is not installed, or its torchvision does not fit this torch.
        ValueError: If the architecture, encoder or weights are unknown.
        OSError: If the weights cannot be downloaded.
    """
    smp = _library()
    parts = name.split("/", 2)
    if len(parts) != 3 or parts[1] not in ARCHITECTURES:
        raise ValueError(
            f"name must be smp/<architecture>/<encoder> with one of the architectures "
            f"{', '.join(ARCHITECTURES)}, got {name!r}; try 'smp/deeplabv3plus/resnet50'"
        )
    _, architecture, encoder = parts
    _check_encoder(smp, encoder)
    class_name, arguments = ARCHITECTURES[architecture]
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    encoder_weights = None if weights is None else str(weights)
    try:
        if encoder_weights is not None:
            parameters = smp.encoders.get_preprocessing_params(encoder, encoder_weights)
            mean, std = parameters["mean"], parameters["std"]
        network = getattr(smp, class_name)(
            encoder, encoder_weights=encoder_weights, classes=num_classes, **arguments
        )
    except OSError as error:
        raise OSError(
            f"the weights {encoder_weights!r} of {encoder!r} could not be downloaded ({error}); "
            "check the network, or start at random with weights=None"
        ) from error
    return WrappedNetwork(
        network, Anatomy(_logits, "encoder", "segmentation_head.0", 32, mean, std)
    )


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    return logits


def _library() -> ModuleType:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ImportError(
            'this needs segmentation_models_pytorch: pip install "equiseg[smp]"'
        ) from error
    except RuntimeError as error:  # torchvision built for another torch
        raise ImportError(
            f"segmentation_models_pytorch does not load: {error}; its torchvision must be the "
            "build that goes with the installed torch (both CPU, or both for the same CUDA)"
        ) from error
    library: ModuleType = smp
    return library


def _check_encoder(smp: ModuleType, encoder: str) -> None:
    known = smp.encoders.get_encoder_names()
    # "tu-" takes any encoder of timm; for a wrong name, timm suggests similar ones.
    if encoder not in known and not encoder.startswith("tu-"):
        close = difflib.get_close_matches(encoder, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "try 'resnet50'"
        raise ValueError(
            f"encoder must be one of the {len(known)} that segmentation_models_pytorch names, or "
            f"tu-<a timm model>, got {encoder!r}; {hint}"
        )
