"""One interface for networks of other libraries: RGB images in [0, 1] to logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.models.batch_norm import advises_on_batch_norm

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network of another library, and the normalisation of its images.

    Attributes:
        logits: Function from the network and normalised images to logits (B, K, h, w).
        encoder: Dotted name of the pretrained part.
        classifier: Dotted name of the final pixel classifier.
        multiple: The sides of an image must be multiples of it.
        mean: Mean of each colour, in [0, 1], for the weights of the encoder.
        std: Standard deviation of each colour, likewise.
    """

    logits: Callable[[nn.Module, Tensor], Tensor]
    encoder: str
    classifier: str
    multiple: int
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD


class WrappedNetwork(nn.Module):
    """A segmentation network of another library with the interface of our models.

    Images are resized up to the next multiple of ``multiple``, not padded: features and logits then
    cover the image exactly, as the centers and the caller's resize require. Parameters without
    effect on the logits are frozen, so that ``DistributedDataParallel`` needs no
    ``find_unused_parameters``.

    Args:
        network: The network; its parameter names start with ``network``.
        anatomy: Its parts, and the normalisation of its images.
        newly_initialised: Parameters of ``network`` that the pretrained weights did not cover.
        configuration: The configuration to build ``network`` again, as JSON values; None if the
            name of the model is enough.

    Shape:
        (B, 3, H, W) in [0, 1], H and W at least 32, to logits (B, K, h, w), h <= H and w <= W.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        anatomy: Anatomy,
        *,
        newly_initialised: Sequence[str] = (),
        configuration: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.classifier_name = f"network.{anatomy.classifier}"
        self.newly_initialised = tuple(newly_initialised)
        self.configuration = configuration
        self._logits, self._encoder = anatomy.logits, anatomy.encoder
        self._multiple = anatomy.multiple
        self.register_buffer("mean", torch.tensor(anatomy.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(anatomy.std).view(3, 1, 1))
        _freeze_unreached(self)

    @advises_on_batch_norm
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K, h, w) at the network's own stride."""
        size = images.shape[2:]
        stretched = [-(-side // self._multiple) * self._multiple for side in size]
        x = (images - self.mean) / self.std
        if stretched != list(size):
            x = F.interpolate(x, stretched, mode="bilinear", align_corners=False)
        logits = self._logits(self.network, x)
        if logits.shape[2] > size[0] or logits.shape[3] > size[1]:
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits

    @property
    def encoder(self) -> nn.Module:
        """The pretrained part of the network."""
        return self.network.get_submodule(self._encoder)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, for a separate learning rate."""
        return self.encoder.parameters()


def _freeze_unreached(model: nn.Module) -> None:
    """Freeze the parameters without effect on the logits.

    A forward and backward pass on the meta device finds them, without memory or arithmetic.
    """
    parameters = dict(model.named_parameters())
    ghosts = {name: torch.empty_like(p, device="meta") for name, p in parameters.items()}
    ghosts = {name: ghost.requires_grad_() for name, ghost in ghosts.items()}
    buffers = {name: torch.empty_like(b, device="meta") for name, b in model.named_buffers()}
    training = model.training
    model.eval()  # batch norm cannot train on one cell per channel
    images = torch.empty(1, 3, 64, 64, device="meta")
    with torch.enable_grad():
        logits = torch.func.functional_call(model, (ghosts, buffers), images)
        gradients = torch.autograd.grad(logits.sum(), list(ghosts.values()), allow_unused=True)
    model.train(training)
    for parameter, gradient in zip(parameters.values(), gradients, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
