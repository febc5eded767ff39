"""The Lovasz-softmax loss from its definition: the extension of a function of sets of pixels."""

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, softmax


def lovasz(logits: Tensor, labels: Tensor) -> float:
    pixels = [(softmax(row), label) for row, label in labelled_pixels(as_numpy(logits), labels)]
    losses = []
    for k in {label for _, label in pixels}:
        own = {i for i, (_, label) in enumerate(pixels) if label == k}
        errors = [1 - p[k] if label == k else p[k] for p, label in pixels]
        losses.append(extension(errors, own))
    return float(np.mean(losses)) if losses else 0.0


def extension(errors: list[float], own: set[int]) -> float:
    """Sum of the errors, largest first, times what each adds to the Jaccard loss of the set."""
    total, wrong = 0.0, set()
    for i in sorted(range(len(errors)), key=lambda i: -errors[i]):
        before = jaccard_loss(wrong, own)
        wrong = wrong | {i}
        total += errors[i] * (jaccard_loss(wrong, own) - before)
    return total


def jaccard_loss(wrong: set[int], own: set[int]) -> float:
    return len(wrong) / len(own | wrong)
