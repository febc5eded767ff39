"""Online hard example mining derived a second time, by sorting float64 probabilities."""

import math

from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def ohem(logits: Tensor, labels: Tensor, threshold: float = 0.7, min_kept: float = 1 / 16) -> float:
    """Mean over the pixels below the threshold, or over the hardest share if that is more."""
    shares = sorted(softmax(row)[label] for row, label in labelled_pixels(as_numpy(logits), labels))
    below = sum(share < threshold for share in shares)
    kept = shares[: max(below, math.ceil(min_kept * len(shares)))]
    return sum(-math.log(share) for share in kept) / len(kept)
