"""Contrast with prototypes derived a second time, pixel by pixel, and how prototypes move."""

import numpy as np
from torch import Tensor

from reference.slow_pixels import as_numpy, labelled_pixels, scores, softmax


def prototype_contrast(
    state: dict[str, Tensor], features: Tensor, labels: Tensor, temperature: float = 0.1
) -> float:
    """The loss against the prototypes as they are; those that are zero do not exist."""
    seen = as_numpy(state["prototypes_KD"]).any(axis=1)
    logits = scores(features, state["prototypes_KD"], normalised=True) / temperature
    losses = [
        -np.log(softmax(row[seen])[seen[:label].sum()])
        for row, label in labelled_pixels(logits, labels)
        if seen[label]
    ]
    return float(np.mean(losses)) if losses else 0.0


def followed(
    prototypes: np.ndarray, features: Tensor, labels: Tensor, momentum: float = 0.99
) -> np.ndarray:
    """The (K, C) prototypes after one batch."""
    maps = as_numpy(features)
    units = maps / np.sqrt((maps**2).sum(axis=1, keepdims=True))
    pixels = list(labelled_pixels(units, labels))
    result = prototypes.copy()
    for k in {label for _, label in pixels}:
        mean = np.mean([unit for unit, label in pixels if label == k], axis=0)
        mean /= np.linalg.norm(mean)
        mixed = momentum * prototypes[k] + (1 - momentum) * mean if prototypes[k].any() else mean
        result[k] = mixed / np.linalg.norm(mixed)
    return result
