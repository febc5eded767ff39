"""ClassDraw: draws a class, rare ones more often, then a sample that contains it."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.labels import fold_ignored


class ClassDraw:
    """Draws classes with probability proportional to (1 / number of labels) ** power.

    Args:
        counts_SK: (S, K) labels of each class in each of the S samples.
        power: 0 draws all classes with equal probability, 1 favours the rarest. Classes that no
            sample contains are never drawn.
        shape: Expected shape (S, K) of the counts.

    Raises:
        ValueError: If the counts are missing, of another shape, or all 0.
    """

    def __init__(self, counts_SK: Tensor | None, power: float, shape: tuple[int, int]) -> None:
        if counts_SK is None or tuple(counts_SK.shape) != shape:
            seen = None if counts_SK is None else tuple(counts_SK.shape)
            raise ValueError(
                f"drawing by class needs counts_SK of shape (samples, classes) = {shape}, got "
                f"{seen}; count the labels of the training samples, or leave rare and paste at 0"
            )
        counts_K = counts_SK.double().sum(0)
        if not counts_K.any():
            raise ValueError(
                "counts_SK must hold labels of some class, got 0 of every class; check ignore_index"
            )
        weights_K = (counts_K / counts_K[counts_K > 0].min()).pow(-power)
        self.weights_K = weights_K.masked_fill(counts_K == 0, 0)
        self.holds_SK = counts_SK > 0

    def __call__(self, generator: torch.Generator) -> tuple[int, int]:
        """Draw a class and a sample that contains it: (index of the sample, class id)."""
        class_id = int(torch.multinomial(self.weights_K, 1, generator=generator))
        samples = self.holds_SK[:, class_id].nonzero().flatten()
        return int(samples[below(len(samples), generator)]), class_id

    def among(self, labels: Tensor, generator: torch.Generator) -> int | None:
        """Draw one of the classes in these labels; None if nothing is labelled."""
        num_classes = len(self.weights_K)
        ids = fold_ignored(labels, num_classes, ignore_index=num_classes).flatten()
        present_K = torch.bincount(ids, minlength=num_classes + 1)[:num_classes] > 0
        weights_K = self.weights_K * present_K
        if not weights_K.any():
            return None
        return int(torch.multinomial(weights_K, 1, generator=generator))


def below(end: int, generator: torch.Generator) -> int:
    """Draw a whole number from 0 to ``end - 1``."""
    return int(torch.randint(end, (), generator=generator))
