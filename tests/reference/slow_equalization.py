"""The softmax equalization loss derived a second time, pixel by pixel in float64."""

import math

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels


def equalization(
    logits: Tensor,
    labels: Tensor,
    rare: set[int],
    gamma: float = 0.9,
    drawn: np.ndarray | None = None,
) -> float:
    """Mean over the labelled pixels; beta is gamma, or what was drawn for each (pixel, class)."""
    pixels = list(labelled_pixels(as_numpy(logits), labels))
    total = 0.0
    for pixel, (row, label) in enumerate(pixels):
        others = 0.0
        for other, logit in enumerate(row):
            beta = gamma if drawn is None else drawn[pixel, other]
            weight = 1 - beta * (other in rare and other != label)
            others += weight * math.exp(logit)
        total -= math.log(math.exp(row[label]) / others)
    return total / len(pixels)
