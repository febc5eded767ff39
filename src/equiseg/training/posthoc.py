"""Post-hoc logit adjustment of a trained network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equiseg.losses import adjusted_logits


@torch.no_grad()
def adjust_classifier(classifier: nn.Module, prior_K: Tensor, tau: float) -> None:
    """Take tau times the log-prior off the bias of the classifier.

    Its logits are then those of :func:`equiseg.losses.adjusted_logits`, in whatever way the network
    is used from here on: evaluated, saved, exported.

    Args:
        classifier: The last layer.
        prior_K: (K,) pixel shares of the classes in training.
        tau: Share of the adjustment, >= 0.

    Raises:
        ValueError: If the classifier has no bias, or tau is negative.
    """
    bias: Any = classifier.bias
    if bias is None:
        raise ValueError(
            f"adjust={tau} moves the bias of the classifier, and {classifier} has none; adjust its "
            "logits with equiseg.losses.adjusted_logits"
        )
    bias.copy_(adjusted_logits(bias[None], prior_K, tau)[0])
