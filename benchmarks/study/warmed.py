"""A center branch with a weight that rises from zero, for branch_*.yaml; it did not help there."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg import CenterCollapseLoss


class Warmed(CenterCollapseLoss):
    """:class:`equiseg.CenterCollapseLoss` with a weight that rises in the first steps."""

    calls: Tensor

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        steps: int,
        weight: float = 0.4,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, in_features, weight=weight, ignore_index=ignore_index)
        self.steps = steps
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """The loss times the finished share of the warm-up."""
        if self.training:
            self.calls += 1
        share = (self.calls / self.steps).clamp(max=1)
        return share * super().forward(features, labels, inverse=inverse)
