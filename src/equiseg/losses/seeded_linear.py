"""SeededLinear: a linear map drawn from a private generator, frozen or learnable."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.losses.fixed_buffers import FixedBuffers


class SeededLinear(FixedBuffers):
    """A linear map drawn from the given generator; the global generator is not used.

    A frozen map is stored in buffers: it moves with the module, but is neither optimised nor saved.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, source: int, target: int, generator: torch.Generator, *, learnable: bool
    ) -> None:
        super().__init__()
        weight = draw((target, source), source, generator)
        bias = draw((target,), source, generator)
        if learnable:
            self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        else:
            self.register_fixed("weight", weight)
            self.register_fixed("bias", bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """The map in the dtype of the inputs."""
        return F.linear(inputs, self.weight.to(inputs.dtype), self.bias.to(inputs.dtype))


def draw(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    """Initial values as in ``nn.Linear`` and ``nn.Conv2d``: uniform within 1 / sqrt(fan-in)."""
    bound = fan_in**-0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
