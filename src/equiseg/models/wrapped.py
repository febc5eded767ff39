"""One face for networks that other libraries build: RGB in [0, 1] in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network that another library builds, and the images it takes.

    Attributes:
        logits: Takes the network and normalised images, gives logits (B, K, h, w).
        encoder: Dotted name of the pretrained part.
        classifier: Dotted name of the final pixel classifier.
        multiple: The sides of an image must be multiples of it.
        mean: Mean of each colour, in [0, 1], that the encoder's weights were trained with.
        std: Standard deviation of each colour, likewise.
    """

    logits: Callable[[nn.Module, Tensor], Tensor]
    encoder: str
    classifier: str
    multiple: int
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD


class WrappedNetwork(nn.Module):
    """A segmentation network behind the interface of our own models.

    Images whose sides are no multiple of ``multiple`` are stretched up to the next one, not padded:
    features and logits then cover the image exactly, which the centers and the caller's resize
    rely on. Parameters that the logits do not depend on are frozen, so that
    ``DistributedDataParallel`` needs no ``find_unused_parameters``.

    Args:
        network: The network; its parameters live under the name ``network``.
        anatomy: Its parts, and the images it takes.
        newly_initialised: Names inside ``network`` that pretrained weights did not cover.
        configuration: All that is needed to build ``network`` again, as JSON holds it; None where
            the name of the model says it.

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
        """The part that pretrained weights are for."""
        return self.network.get_submodule(self._encoder)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the encoder, for a learning rate of their own."""
        return self.encoder.parameters()


def _freeze_unreached(model: nn.Module) -> None:
    """Freeze the parameters that no gradient of the logits reaches.

    One forward and backward on the meta device finds them: shapes only, no memory, no arithmetic.
    """
    parameters = dict(model.named_parameters())
    ghosts = {name: torch.empty_like(p, device="meta") for name, p in parameters.items()}
    ghosts = {name: ghost.requires_grad_() for name, ghost in ghosts.items()}
    buffers = {name: torch.empty_like(b, device="meta") for name, b in model.named_buffers()}
    training = model.training
    model.eval()  # batch norm with one cell per channel refuses to train
    images = torch.empty(1, 3, 64, 64, device="meta")
    with torch.enable_grad():
        logits = torch.func.functional_call(model, (ghosts, buffers), images)
        gradients = torch.autograd.grad(logits.sum(), list(ghosts.values()), allow_unused=True)
    model.train(training)
    for parameter, gradient in zip(parameters.values(), gradients, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
