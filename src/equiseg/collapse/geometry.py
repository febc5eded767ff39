"""Geometry: how close vectors, one per class, are to a simplex equiangular tight frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.collapse.margins import smallest_margin


@dataclass(frozen=True, eq=False)
class Geometry:
    """The geometry of class centers or of classifier rows (NC2).

    K' is the number of present classes; absent classes are left out, because a zero vector would
    spoil every angle. Standard deviations are population standard deviations. All numbers are NaN
    for fewer than two classes.

    Attributes:
        equinorm: Relative spread of the lengths, std |v_k| / mean |v_k|; 0 at collapse (Papyan, Han
            and Donoho 2020, arXiv 2008.08186; also the source of the next two).
        equiangularity: Spread of the cosines, std over pairs of cos(v_k, v_k'); 0 at collapse.
        maximal_separation: Mean over pairs of |cos(v_k, v_k') + 1 / (K' - 1)|; 0 at collapse.
        etf_error: Distance |C / |C| - E / |E|| between the products C = V V^T and the products of a
            simplex, E = I - 11^T / K', in Frobenius norms: lengths and angles in one number; 0 at
            collapse (Zhu et al. 2021, arXiv 2105.02375).
        largest_cosine: Cosine of the closest pair; -1 / (K' - 1) at collapse.
        num_present: Number of classes measured.
        cosines_KK: (K, K) float64 cosines of all classes; NaN for absent ones.
        directions_KD: (K, D) float64 vectors of length one; NaN for absent classes.
        measured_K: (K,) bool, the classes measured.
    """

    equinorm: float
    equiangularity: float
    maximal_separation: float
    etf_error: float
    largest_cosine: float
    num_present: int
    cosines_KK: Tensor
    directions_KD: Tensor
    measured_K: Tensor

    @classmethod
    def of(
        cls,
        vectors_KD: Tensor,
        present_K: Tensor | None = None,
        *,
        centered: bool,
        among: Sequence[int] | None = None,
    ) -> Geometry:
        """Measure vectors against the simplex, in float64 on the CPU.

        Args:
            vectors_KD: (K, D), one vector a class.
            present_K: (K,) bool, the rows to use. None uses all.
            centered: Subtract the unweighted mean of the present vectors first. True for centers
                and classifier rows: the mean over pixels would be the mean of the head classes, and
                a shift common to all rows changes only the angles, not the predictions of a
                softmax. (Papyan et al. 2020 center only the centers.) False for frames, which are
                unit vectors already.
            among: Measure only these classes, e.g. head, common or tail: their lengths, pairs and
                margins. The mean, K' and the hull of a margin still use all present classes.

        Raises:
            ValueError: If a shape differs or ``among`` names a class that does not exist.
        """
        present_K = _checked_presence(vectors_KD, present_K)
        num_classes = len(vectors_KD)
        vectors = vectors_KD.detach().cpu().double()[present_K]  # only present ones from here on
        measured_K = present_K & chosen_classes(num_classes, among)
        chosen = measured_K[present_K]
        count = len(vectors)
        if centered and count:
            vectors = vectors - vectors.mean(0)
        unit = F.normalize(vectors, dim=1)
        cosines = (unit @ unit.T).fill_diagonal_(1)
        cosines_KK = torch.full((num_classes, num_classes), math.nan, dtype=torch.float64)
        cosines_KK[present_K.outer(present_K)] = cosines.flatten()
        directions_KD = torch.full(vectors_KD.shape, math.nan, dtype=torch.float64)
        directions_KD[present_K] = unit
        num_chosen = int(chosen.sum())
        if num_chosen < 2:
            nan = math.nan
            return Geometry(
                nan, nan, nan, nan, nan, num_chosen, cosines_KK, directions_KD, measured_K
            )
        norms = vectors.norm(dim=1)[chosen]
        pairs = cosines[chosen][:, chosen][~torch.eye(num_chosen, dtype=torch.bool)]
        simplex = torch.eye(count, dtype=torch.float64) - 1 / count
        products, ideal = (
            matrix[chosen][:, chosen] / matrix[chosen][:, chosen].norm()
            for matrix in (vectors @ vectors.T, simplex)
        )
        return Geometry(
            equinorm=float(norms.std(correction=0) / norms.mean()),
            equiangularity=float(pairs.std(correction=0)),
            maximal_separation=float((pairs + 1 / (count - 1)).abs().mean()),
            etf_error=float((products - ideal).norm()),
            largest_cosine=float(pairs.max()),
            num_present=num_chosen,
            cosines_KK=cosines_KK,
            directions_KD=directions_KD,
            measured_K=measured_K,
        )

    @cached_property
    def margin(self) -> float:
        """Smallest distance of a v_k / |v_k| to the convex hull of all others.

        K' / (K' - 1) at collapse. Where K' > D + 1 and no simplex fits, it grows towards the margin
        of a softmax code: at most 1 for K' >= D + 2 (Jiang et al. 2023, arXiv 2310.05351). 0 if one
        vector lies within the hull of the others. Computed on first access, which takes seconds
        with hundreds of classes.
        """
        if self.num_present < 2 or not self.directions_KD[self.measured_K].isfinite().all():
            return math.nan
        present_K = self.directions_KD.isfinite().all(1)
        measured = self.measured_K[present_K].nonzero().flatten()
        return smallest_margin(self.directions_KD[present_K], measured)


def _checked_presence(vectors_KD: Tensor, present_K: Tensor | None) -> Tensor:
    """(K,) bool on the CPU: the rows to use."""
    if vectors_KD.ndim != 2:
        raise ValueError(
            f"vectors_KD must be (K, D), got {tuple(vectors_KD.shape)}; the weight of a 1x1 "
            "convolution is weight.flatten(1)"
        )
    num_classes = len(vectors_KD)
    if present_K is None:
        return torch.ones(num_classes, dtype=torch.bool)
    if present_K.dtype != torch.bool or present_K.shape != (num_classes,):
        raise ValueError(
            f"present_K must be bool with one value for each of the {num_classes} vectors, "
            f"got {present_K.dtype} {tuple(present_K.shape)}; counts_K > 0 gives it"
        )
    return present_K.cpu()


def chosen_classes(num_classes: int, among: Sequence[int] | None) -> Tensor:
    """(K,) bool mask of the classes in ``among``; None selects all.

    Raises:
        ValueError: If one of the classes does not exist.
    """
    if among is None:
        return torch.ones(num_classes, dtype=torch.bool)
    beyond = sorted({k for k in among if not 0 <= k < num_classes})
    if beyond:
        raise ValueError(
            f"among must hold class ids 0..{num_classes - 1}, got {beyond}; remove them"
        )
    chosen_K = torch.zeros(num_classes, dtype=torch.bool)
    chosen_K[list(among)] = True
    return chosen_K


class NearestPair(NamedTuple):
    """Two classes and the cosine between their vectors; ``first < second``."""

    first: int
    second: int
    cosine: float


def nearest_pairs(cosines_KK: Tensor, most: int = 10) -> list[NearestPair]:
    """The pairs of classes with the largest cosines, largest first.

    Args:
        cosines_KK: (K, K) as in :attr:`Geometry.cosines_KK`; NaN is left out.
        most: Largest number of pairs.
    """
    first, second = torch.triu_indices(len(cosines_KK), len(cosines_KK), offset=1)
    cosines = cosines_KK[first, second]
    known = ~cosines.isnan()
    first, second, cosines = first[known], second[known], cosines[known]
    order = cosines.argsort(descending=True, stable=True)[:most]
    return [NearestPair(int(first[i]), int(second[i]), float(cosines[i])) for i in order.tolist()]
