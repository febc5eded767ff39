"""Building models by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from equiseg.dotted_names import is_dotted
from equiseg.models.architectures import ARCHITECTURES
from equiseg.models.fpn import FPN, SmallEncoder
from equiseg.models.huggingface import build_huggingface, rebuild_huggingface
from equiseg.models.lite0 import Lite0Encoder
from equiseg.models.own import build_own
from equiseg.models.smp import build_smp
from equiseg.models.sparse import (
    MinkUNet14A,
    MinkUNet18A,
    MinkUNet34A,
    MinkUNet34C,
    MinkUNetSmall,
)

_PYRAMIDS: dict[str, Callable[[], nn.Module]] = {
    "fpn-small": SmallEncoder,
    "fpn-lite0": Lite0Encoder,
}
# Networks of point clouds: input channels and classes to a network on sparse tensors.
SPARSE_MODELS: dict[str, Callable[..., nn.Module]] = {
    "minkunet-small": MinkUNetSmall,
    "minkunet-14a": MinkUNet14A,
    "minkunet-18a": MinkUNet18A,
    "minkunet-34a": MinkUNet34A,
    "minkunet-34c": MinkUNet34C,
}
_SMP_FORM = "smp/<deeplabv3plus|upernet|fpn|unet>/<encoder>"


def model_names() -> tuple[str, ...]:
    """The names for `build_model`, except ``smp/<architecture>/<encoder>`` and own functions."""
    return (*_PYRAMIDS, *ARCHITECTURES, *SPARSE_MODELS)


def is_own_model(name: str) -> bool:
    """Whether a name means a user's function: "my_module.build", "file.py:build"."""
    return not name.startswith("smp/") and name not in model_names() and is_dotted(name)


def build_model(
    name: str,
    num_classes: int,
    *,
    weights: str | Path | None = None,
    in_channels: int = 3,
    layer: str | None = None,
) -> nn.Module:
    """Build a segmentation model by name.

    The models in `SPARSE_MODELS` take a `SparseTensor` of voxels and return logits (V, K). Every
    other model takes RGB images (B, 3, H, W) in [0, 1] with H and W of at least 32, normalises them
    and returns logits (B, K, h, w) at its own stride, h <= H and w <= W. All models have

    - ``classifier_name``: dotted name of the final pixel classifier, for ``FeatureTap``;
    - ``encoder`` and ``encoder_parameters()``: the part to freeze or to train with a lower rate;
    - no trainable parameter without effect on the logits (such parameters are frozen), so
      ``DistributedDataParallel`` needs no ``find_unused_parameters``.

    Args:
        name: One of `model_names`, ``smp/<architecture>/<encoder>`` with
            segmentation_models_pytorch installed, as "smp/deeplabv3plus/resnet50", or a function of
            your own: "my_module.build", "file.py:build" (see `equiseg.models.own.build_own`).
        num_classes: Number of classes K, at least 2.
        weights: Pretrained weights. For architectures of transformers, a local folder or a hub
            name; for ``smp/``, the name of the encoder weights in that library ("imagenet"). None
            starts at random, except "fpn-lite0", which always has ImageNet weights from its
            package.
        in_channels: Channels of the input: 3 for images, the channels of a voxel for sparse models,
            any number for a network of your own.
        layer: Dotted name of the pixel classifier in a network of your own; None searches for it.

    Raises:
        ValueError: If the name is unknown, there are too few classes, or the weights do not fit.
        ImportError: If the name needs a package that is not installed.
        OSError: If the weights cannot be read.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    own = is_own_model(name)
    if weights is not None and (cure := _instead_of_weights(name)):
        raise ValueError(f"weights must be None for {name!r}, got {str(weights)!r}; {cure}")
    if layer is not None and not own:
        raise ValueError(
            f"layer is for networks of your own, got {layer!r} for {name!r}, whose classifier is "
            "known; leave it out"
        )
    if own:
        return build_own(name, num_classes, in_channels=in_channels, layer=layer)
    if name in SPARSE_MODELS:
        return SPARSE_MODELS[name](in_channels, num_classes)
    if in_channels != 3:
        raise ValueError(
            f"in_channels must be 3 for {name!r}, which takes RGB images, got {in_channels}; "
            "a network of your own (my_module.build) can take any"
        )
    if name in _PYRAMIDS:
        return FPN(_PYRAMIDS[name](), num_classes)
    if name in ARCHITECTURES:
        return build_huggingface(ARCHITECTURES[name], num_classes, weights)
    if name.startswith("smp/"):
        return build_smp(name, num_classes, weights)
    close = difflib.get_close_matches(name, model_names(), n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "choose one of them"
    raise ValueError(
        f"name must be one of {', '.join(model_names())}, {_SMP_FORM} or a function of your own "
        f"(my_module.build), got {name!r:.80}; {hint}"
    )


def _instead_of_weights(name: str) -> str | None:
    """Advice for a name that takes no pretrained weights; None for a name that does."""
    if is_own_model(name):
        return "let your function load them"
    if name in SPARSE_MODELS:
        return "load a checkpoint of MinkowskiEngine with equiseg.models.sparse.load_minkowski"
    if name in _PYRAMIDS:
        return "'fpn-lite0' has ImageNet weights built in, other names take weights"
    return None


def rebuild_model(
    name: str, num_classes: int, configuration: dict[str, Any] | None = None
) -> nn.Module:
    """Build a model again, before its weights are loaded.

    Args:
        name: The name of the model in `build_model`.
        num_classes: Number of classes K.
        configuration: The ``configuration`` of the first model, if it has one: it can depend on
            pretrained weights.

    Raises:
        ValueError: If the name is unknown.
    """
    if is_own_model(name):
        try:
            return build_own(name, num_classes, **(configuration or {}))
        except ValueError as error:
            raise ValueError(
                f"{error}\nthe network was built by {name}: start in the folder of its module, or "
                "put that folder on PYTHONPATH"
            ) from error
    if name == "fpn-lite0":
        return FPN(Lite0Encoder(pretrained=False), num_classes)
    if name in SPARSE_MODELS and configuration is not None:
        sizes = dict(configuration)
        return SPARSE_MODELS[name](sizes.pop("in_channels"), num_classes, **sizes)
    if name in ARCHITECTURES and configuration is not None:
        return rebuild_huggingface(ARCHITECTURES[name], configuration)
    return build_model(name, num_classes)
