"""The seesaw loss and its gradient derived a second time, pixel by pixel in float64."""

import math

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def seesaw(
    logits: Tensor, labels: Tensor, counts: list[float], mitigation: float, compensation: float
) -> float:
    """Mean over the labelled pixels."""
    pixels = list(labelled_pixels(as_numpy(logits), labels))
    losses = [
        -math.log(_share(row, _factors(row, label, counts, mitigation, compensation), label))
        for row, label in pixels
    ]
    return float(np.mean(losses))


def seesaw_gradient(
    logits: Tensor, labels: Tensor, counts: list[float], mitigation: float, compensation: float
) -> np.ndarray:
    """(N, K) gradient of N labelled points, S_ij e^(z_j - z_i) sigma_i / N off the own class."""
    pixels = list(labelled_pixels(as_numpy(logits), labels))
    gradient = np.zeros((len(pixels), len(counts)))
    for point, (row, label) in enumerate(pixels):
        factors = _factors(row, label, counts, mitigation, compensation)
        own = _share(row, factors, label)
        for other in range(len(counts)):
            if other != label:
                gradient[point, other] = factors[other] * np.exp(row[other] - row[label]) * own
        gradient[point, label] = own - 1
    return gradient / len(pixels)


def _factors(row, label, counts, mitigation, compensation) -> list[float]:
    """S_ij for one pixel of class i and every class j."""
    shares = softmax(row)
    factors = []
    for other in range(len(counts)):
        here, there = max(counts[label], 1), max(counts[other], 1)
        mitigated = (there / here) ** mitigation if here > there else 1.0
        mistaken = shares[other] > shares[label]
        compensated = (shares[other] / shares[label]) ** compensation if mistaken else 1.0
        factors.append(mitigated * compensated)
    return factors


def _share(row, factors, label) -> float:
    """The pixel's share under the seesaw softmax."""
    others = sum(
        factor * math.exp(logit)
        for other, (factor, logit) in enumerate(zip(factors, row, strict=True))
        if other != label
    )
    return math.exp(row[label]) / (math.exp(row[label]) + others)
