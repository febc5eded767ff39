"""The Dice loss derived a second time: twice the intersection over the sum of both areas."""

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def dice(logits: Tensor, labels: Tensor) -> float:
    pixels = [(softmax(row), label) for row, label in labelled_pixels(as_numpy(logits), labels)]
    losses = []
    for k in {label for _, label in pixels}:
        intersection = sum(p[k] for p, label in pixels if label == k)
        predicted = sum(p[k] for p, _ in pixels)
        labelled = sum(label == k for _, label in pixels)
        losses.append(1 - 2 * intersection / (predicted + labelled))
    return float(np.mean(losses)) if losses else 0.0
