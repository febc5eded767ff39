"""The contribution of each class to the gradient of one branch of the loss.

The argument is by Zhong et al. 2023 (arXiv 2301.01100). With softmax probabilities p of a sample of
class y, the gradient of its loss on its feature is ``-(1 - p_y) w_y + sum_k p_k w_k`` over the
other classes k: a pull towards the classifier row of its class and a push away from the others. The
gradient on row k has a part from samples of class k and a part from all other samples. In pixel
cross entropy (:mod:`equiseg.collapse.pixel_branch`) every pixel has the same weight, so the
gradient of a class grows with its number of pixels, times the remaining error. In the center branch
(:mod:`equiseg.collapse.center_branch`) every present class is one sample.

Everything is computed in closed form in float64, without training and without autograd.

Shapes: K classes, K' present ones, D dim, U cells of one map, P samples, C corners,
R = min(K, D).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, eq=False)
class BranchGradients:
    """The gradient of one branch of the loss per class, for one batch or the sum of several.

    Add batches with ``total = total + pixel_gradients(...)``; every field is then a sum over
    ``num_batches`` batches. Norms are taken before the sum, because vectors of different batches
    may cancel although each of them affects training.

    Attributes:
        rows_within_KD: (K, D) float64 gradient on row k of the classifier (or of the frame, as if
            it were learnable) from the samples of class k.
        rows_between_KD: (K, D) float64 gradient on row k from the samples of all other classes. The
            sum of both is the gradient on the rows.
        mass_K: (K,) float64 sum of |dL/dx| over the pixels of each class; x is the feature resized
            to the labels.
        pull_K: (K,) float64, the same for the part along the row of the class.
        push_K: (K,) float64, the same for the part along the other rows.
        error_K: (K,) float64 mean of 1 - p over the samples of the class; p is the predicted
            probability of their class.
        counts_K: (K,) int64 number of label pixels (points) that contribute.
        batches_K: (K,) int64 number of batches in which the class had a gradient.
        num_batches: Number of batches in the sum.
    """

    rows_within_KD: Tensor
    rows_between_KD: Tensor
    mass_K: Tensor
    pull_K: Tensor
    push_K: Tensor
    error_K: Tensor
    counts_K: Tensor
    batches_K: Tensor
    num_batches: int = 1

    def __add__(self, other: BranchGradients) -> BranchGradients:
        """The sum over the batches of both.

        Raises:
            ValueError: If their numbers of classes or dimensions differ.
        """
        shapes = tuple(self.rows_within_KD.shape), tuple(other.rows_within_KD.shape)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"gradients must agree in (K, D) to be added up, got {shapes[0]} and {shapes[1]}; "
                "add up each branch by itself"
            )
        theirs = vars(other)
        return BranchGradients(**{name: value + theirs[name] for name, value in vars(self).items()})

    @property
    def mean_mass_K(self) -> Tensor:
        """(K,) mean gradient mass per batch, including batches without the class."""
        return self.mass_K / self.num_batches

    @property
    def present_mass_K(self) -> Tensor:
        """(K,) mean gradient mass over the batches that contain the class; NaN if none does."""
        return self.mass_K / self.batches_K

    @property
    def present_counts_K(self) -> Tensor:
        """(K,) mean number of pixels over the batches that contain the class; NaN if none does."""
        return self.counts_K / self.batches_K

    @property
    def present_error_K(self) -> Tensor:
        """(K,) mean error over the batches that contain the class; NaN if none does."""
        return self.error_K / self.batches_K


class PowerLaw(NamedTuple):
    """``mass = factor * size ** exponent``: a straight line on logarithmic axes.

    Attributes:
        exponent: The slope. 1: proportional to the size; 0: independent of the size.
        factor: The value at size 1.
    """

    exponent: float
    factor: float

    @classmethod
    def fit(cls, sizes_K: Tensor, masses_K: Tensor) -> PowerLaw:
        """Fit by least squares on the logarithms, with equal weight for every class.

        Classes without size or mass have no logarithm and are left out; NaN if fewer than two
        sizes remain.
        """
        known = (sizes_K > 0) & (masses_K > 0)
        x, y = sizes_K[known].double().log(), masses_K[known].double().log()
        if not len(x) or x.min() == x.max():
            return cls(math.nan, math.nan)
        from_mean = x - x.mean()
        exponent = float(from_mean @ y / from_mean.square().sum())
        return cls(exponent, math.exp(float(y.mean()) - exponent * float(x.mean())))


def errors(scores_PK: Tensor, y_P: Tensor) -> tuple[Tensor, Tensor]:
    """(P,) 1 - p of the true class, and (P, K) p of the other classes (zero at the true class).

    The first is computed as the sum of the second: 1 - p would round errors below 1e-16 to zero.
    """
    others_PK = scores_PK.softmax(1).scatter_(1, y_P.unsqueeze(1), 0.0)
    return others_PK.sum(1), others_PK


def norms(pull_PD: Tensor, push_PD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) norms of the whole gradient and of its two parts."""
    return (pull_PD + push_PD).norm(dim=1), pull_PD.norm(dim=1), push_PD.norm(dim=1)
