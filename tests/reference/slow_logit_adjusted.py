"""Logit adjustment derived a second time: a softmax weighted by powers of the prior."""

import math

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels


def logit_adjusted(
    logits: Tensor, labels: Tensor, prior: tuple[float, ...], tau: float = 1.0
) -> float:
    """Mean over the labelled pixels; at tau = 1, balanced softmax."""
    pixels = list(labelled_pixels(as_numpy(logits), labels))
    total = 0.0
    for row, label in pixels:
        weighted = [share**tau * math.exp(logit) for share, logit in zip(prior, row, strict=True)]
        total -= math.log(weighted[label] / np.sum(weighted))
    return total / len(pixels)
