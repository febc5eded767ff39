"""LDAM derived a second time, pixel by pixel in float64."""

import math

from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def ldam(
    logits: Tensor,
    labels: Tensor,
    class_counts: tuple[float, ...],
    max_margin: float = 2.0,
    scale: float = 1.0,
    weight: tuple[float, ...] | None = None,
) -> float:
    """Weighted mean over the labelled pixels."""
    fourth_roots = [count**-0.25 for count in class_counts]
    margins = [max_margin * root / max(fourth_roots) for root in fourth_roots]
    total = weights = 0.0
    for row, label in labelled_pixels(as_numpy(logits), labels):
        row = row.copy()
        row[label] -= margins[label]
        pixel_weight = weight[label] if weight else 1.0
        total -= pixel_weight * math.log(softmax(scale * row)[label])
        weights += pixel_weight
    return total / weights
