"""What each class does to the gradient of one branch of the loss.

Zhong et al. 2023 (arXiv 2301.01100) argue from gradients. With softmax probabilities p of a sample
of class y, the gradient of its loss on its feature is ``-(1 - p_y) w_y + sum_k p_k w_k`` over the
other classes k: a pull to the own row of the classifier and a push from the others. The gradient on
row k has a part from samples of class k and a part from all others. In pixel cross entropy
(:mod:`equiseg.collapse.pixel_branch`) every pixel weighs the same, so a class's gradient grows with
its number of pixels, times how wrong the network still is there. In the center branch
(:mod:`equiseg.collapse.center_branch`) every present class is one sample.

All of it in closed form and float64. Nothing is trained, and no gradient of the network is taken.

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
    """The gradient of one branch of the loss, class by class, of one batch or the sum of several.

    Over a data set they add up batch by batch, ``total = total + pixel_gradients(...)``; every
    field then is a sum over ``num_batches`` batches. Norms are taken before adding up: the masses
    are what training feels, while vectors of different batches may cancel.

    Attributes:
        rows_within_KD: (K, D) float64 gradient on row k of the classifier (or the frame, were it
            learnable) from the samples of class k.
        rows_between_KD: (K, D) float64, from those of all other classes. Both together are the
            gradient on the rows.
        mass_K: (K,) float64, over the pixels of each class the sum of |dL/dx|, x the feature
            resized to the labels.
        pull_K: (K,) float64, the same for the part along the class's own row.
        push_K: (K,) float64, the same for the part along the other rows.
        error_K: (K,) float64 mean over the class's samples of 1 - p, p the probability given to
            their own class: how wrong the branch still is.
        counts_K: (K,) int64 label pixels (points) that take part.
        batches_K: (K,) int64, in how many batches the class had a gradient.
        num_batches: How many batches were added up.
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
            ValueError: If they are of other classes or dimensions.
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
        """(K,) gradient mass of the mean step, batches without the class among them."""
        return self.mass_K / self.num_batches

    @property
    def present_mass_K(self) -> Tensor:
        """(K,) gradient mass in a batch that holds the class; NaN where none did."""
        return self.mass_K / self.batches_K

    @property
    def present_counts_K(self) -> Tensor:
        """(K,) mean pixels in a batch that holds the class; NaN where none did."""
        return self.counts_K / self.batches_K

    @property
    def present_error_K(self) -> Tensor:
        """(K,) mean error in the batches that hold the class; NaN where none did."""
        return self.error_K / self.batches_K


class PowerLaw(NamedTuple):
    """``mass = factor * size ** exponent``: a straight line where both axes are logarithmic.

    Attributes:
        exponent: The slope. 1 for what grows with the size, 0 for what does not depend on it.
        factor: The value at size 1.
    """

    exponent: float
    factor: float

    @classmethod
    def fit(cls, sizes_K: Tensor, masses_K: Tensor) -> PowerLaw:
        """Least squares on the logarithms, every class the same weight.

        Classes without size or mass have no logarithm and are left out; NaN where fewer than two
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
    """(P,) 1 - p of the own class and (P, K) p of the others, zero at the own.

    The first is the sum of the second: 1 - p would round an error below 1e-16 to zero.
    """
    others_PK = scores_PK.softmax(1).scatter_(1, y_P.unsqueeze(1), 0.0)
    return others_PK.sum(1), others_PK


def norms(pull_PD: Tensor, push_PD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(P,) norms of the whole gradient and its two parts."""
    return (pull_PD + push_PD).norm(dim=1), pull_PD.norm(dim=1), push_PD.norm(dim=1)
