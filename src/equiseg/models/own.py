"""OwnNetwork: a network that a user's own function builds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.dotted_names import find_object
from equiseg.models.batch_norm import advises_on_batch_norm
from equiseg.tap import FeatureTap


class OwnNetwork(nn.Module):
    """A user's network with the interface of our models.

    Args:
        network: Takes images (B, C, H, W) in [0, 1] and returns logits (B, K, h, w). Its attribute
            ``encoder``, if it has one, is the part to freeze or to train with a lower rate.
        name: The name of the function that built it.
        num_classes: Number of classes K.
        in_channels: Number of image channels C.
        layer: Dotted name of its pixel classifier; None searches for the one convolution or Linear
            with K outputs.

    Raises:
        ValueError: If no layer or more than one can be the classifier, or ``layer`` is not a
            classifier.

    Shape:
        (B, C, H, W) in [0, 1] to logits (B, K, h, w), h <= H and w <= W.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        num_classes: int,
        in_channels: int,
        layer: str | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._name, self._num_classes = name, num_classes
        self.classifier_name = f"network.{_classifier(network, name, num_classes, layer)}"
        self.configuration = {"in_channels": in_channels, "layer": layer}

    @advises_on_batch_norm
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K, h, w); logits larger than the images are resized to the images.

        Raises:
            ValueError: If the network returns anything else.
        """
        logits = self.network(images)
        expected = f"logits (B, {self._num_classes}, h, w)"
        if not isinstance(logits, Tensor):
            raise ValueError(  # noqa: TRY004 - of the option model.name
                f"model.name={self._name}: the network must return {expected}, got "
                f"{type(logits).__name__}; return the tensor itself, as output.logits"
            )
        if logits.ndim != 4 or logits.shape[:2] != (len(images), self._num_classes):
            raise ValueError(
                f"model.name={self._name}: the network must return {expected}, got shape "
                f"{tuple(logits.shape)} for images of shape {tuple(images.shape)}"
            )
        size = images.shape[2:]
        if logits.shape[2] > size[0] or logits.shape[3] > size[1]:
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits

    @property
    def encoder(self) -> nn.Module:
        """The pretrained part; an empty module if the network has no attribute ``encoder``."""
        encoder = getattr(self.network, "encoder", None)
        return encoder if isinstance(encoder, nn.Module) else nn.Identity()

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, for a separate learning rate."""
        return self.encoder.parameters()


def build_own(
    name: str, num_classes: int, *, in_channels: int = 3, layer: str | None = None
) -> OwnNetwork:
    """Build a network with a user's function.

    Args:
        name: "my_module.build" or "file.py:build", called as
            ``build(num_classes=K, in_channels=C)``; returns an ``nn.Module``.
        num_classes: Number of classes K.
        in_channels: Number of image channels C.
        layer: Dotted name of its pixel classifier; None searches for it.

    Raises:
        ValueError: If there is no such function, it fails, or its result is no network.
    """
    build = find_object(name, "model.name")
    call = f"{name}(num_classes={num_classes}, in_channels={in_channels})"
    try:
        network: Any = build(num_classes=num_classes, in_channels=in_channels)
    except Exception as error:
        raise ValueError(f"model.name: {call} failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ValueError(  # noqa: TRY004 - of the option model.name
            f"model.name: {call} must return a torch.nn.Module, got {type(network).__name__}"
        )
    return OwnNetwork(network, name, num_classes, in_channels, layer)


def _classifier(network: nn.Module, name: str, num_classes: int, layer: str | None) -> str:
    try:
        with FeatureTap(network, layer, num_classes) as tap:
            found, classifier = tap.name, tap.layer
    except ValueError as error:
        raise ValueError(
            f"model.name={name}: cannot find the classifier: {error}\nname it with --model.layer"
        ) from error
    if not isinstance(getattr(classifier, "weight", None), nn.Parameter):
        raise ValueError(  # noqa: TRY004 - of the option model.layer
            f"model.layer={found} must be the convolution or Linear that makes the {num_classes} "
            f"logits, got {type(classifier).__name__}"
        )
    return found
