"""LossCase: a loss as the judge sees it, the batches it is given, and how a verdict is put."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from unittest import SkipTest

import torch
from torch import Tensor, nn

from equiseg.losses.fixed_buffers import fixed_buffers_of

NUM_CLASSES = 5
IN_FEATURES = 7
# Sides of the inputs and of the labels.
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "points": ((), ()),
    "map": ((3, 4), (3, 4)),
    "larger labels": ((3, 4), (7, 8)),
}


@dataclass(frozen=True)
class LossCase:
    """A loss to be judged, as it is built for :data:`NUM_CLASSES` classes.

    A loss with ``in_features`` is given that many features a pixel, any other one logits. Tensors
    of its state that run over the classes have names that end in shape letters (``weight_K``,
    ``frame_KD``), so that the judge can rename classes.

    Attributes:
        name: What reports call it.
        build: The loss, from an ignore value. In evaluation mode, if it draws or counts in
            training: most checks call it twice and expect the same.
        reference: The value derived a second time, slowly and in float64: from all tensors that
            the loss holds (its state dict, and buffers that are not in it), a
            (B, C, h, w) map and (B, H, W) labels, 255 where nothing is known. None leaves that
            check out.
        spared: Checks that do not apply, by name ("gradients"), with the reason.
    """

    name: str
    build: Callable[[int], nn.Module]
    reference: Callable[[dict[str, Tensor], Tensor, Tensor], float] | None = None
    spared: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def loss(self, ignore_index: int = 255, seed: int = 0) -> nn.Module:
        """A new loss; what it draws from the global generator is the same for the same seed."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            return self.build(ignore_index)

    @property
    def in_features(self) -> int | None:
        """Channels of the features, or None for a loss over logits."""
        return getattr(self.loss(), "in_features", None)

    def batch(
        self, size: str = "larger labels", dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Inputs that need a gradient, and labels without class 3 and with some ignored."""
        generator = torch.Generator().manual_seed(0)
        small, large = SIZES[size]
        images = 2 if small else 40
        channels = self.in_features or NUM_CLASSES
        inputs = torch.randn(images, channels, *small, generator=generator, dtype=dtype)
        labels = torch.randint(0, NUM_CLASSES, (images, *large), generator=generator)
        return inputs.requires_grad_(), torch.where(labels == 3, 255, labels)

    def skip_if_spared(self, check: str) -> None:
        """Skip a check that the case is spared.

        Raises:
            unittest.SkipTest: With the reason; pytest and unittest report it as such.
        """
        if check in self.spared:
            raise SkipTest(self.spared[check])


def state_of(loss: nn.Module) -> dict[str, Tensor]:
    """All that a loss holds, by name: its state dict, and the buffers that it leaves out."""
    return loss.state_dict() | fixed_buffers_of(loss)


def value_and_gradient(
    loss: Callable[..., Tensor], inputs: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and its gradient in the inputs."""
    value = loss(inputs, labels)
    return value.detach(), torch.autograd.grad(value, inputs)[0]


def require(holds: bool | Tensor, asked: str) -> None:
    """Raise what was asked for where it does not hold."""
    if not holds:
        fail(asked)


def require_close(actual: Any, expected: Any, asked: str, **tolerances: Any) -> None:
    """Raise what was asked for, and by how much it was missed, where tensors differ."""
    torch.testing.assert_close(actual, expected, msg=lambda by: f"{asked}\n{by}", **tolerances)


def fail(asked: str) -> NoReturn:
    """Raise what was asked for."""
    raise AssertionError(asked)
