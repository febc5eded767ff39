"""The focal loss derived a second time, pixel by pixel in float64."""

import math

from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def focal(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: tuple[float, ...] | None = None
) -> float:
    """Mean over the labelled pixels."""
    pixels = list(labelled_pixels(as_numpy(logits), labels))
    total = 0.0
    for row, label in pixels:
        share = softmax(row)[label]
        total -= (alpha[label] if alpha else 1) * (1 - share) ** gamma * math.log(share)
    return total / len(pixels)
