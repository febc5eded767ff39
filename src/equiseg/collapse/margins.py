"""The one-vs-rest margin: the distance of a vector to the convex hull of the others.

Softmax codes maximise it (Jiang et al. 2023, arXiv 2310.05351), so it measures collapse where
K > D + 1 classes cannot form a simplex. The nearest point of a hull is a quadratic program over
convex weights a. Only the smallest margin of all classes is needed: a few steps of projected
gradient descent give a lower bound for every margin, and an interior point method solves the
classes that may have the smallest. That method also works with more vectors than dimensions, and
gives its own error.

Shapes: C candidate classes, B of them in a batch, N = K - 1 other vectors, D dim.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_BOUND_STEPS = 100
_ENTRIES_AT_ONCE = 2**21  # of products between vectors, 16 MB of float64
_MOST_STEPS = 60  # about 20 are needed
_GAP = 1e-15  # tolerance of the squared distance between vectors of length one


def smallest_margin(unit_KD: Tensor, classes_C: Tensor) -> float:
    """The smallest distance of some vectors to the convex hull of all others.

    Exact to about 1e-14, or 1e-7 for a vector inside the hull, whose margin is 0.
    NaN if a vector is not finite.

    Args:
        unit_KD: (K, D) float64 rows of length one, K >= 2.
        classes_C: (C,) int64 ids of the classes to consider.
    """
    num_classes = len(unit_KD)
    if not unit_KD.isfinite().all():
        return torch.nan
    lower_C, order_C = _lower_bounds(unit_KD, classes_C).sort()
    at_once = max(1, min(8, _ENTRIES_AT_ONCE // num_classes**2))
    smallest = torch.inf
    for start in range(0, len(order_C), at_once):
        if lower_C[start] >= smallest:
            break
        chosen_B = classes_C[order_C[start : start + at_once]]
        others_BK = torch.arange(num_classes) != chosen_B.unsqueeze(1)
        others_BN = others_BK.nonzero()[:, 1].view(len(chosen_B), num_classes - 1)
        offsets_BND = unit_KD[others_BN] - unit_KD[chosen_B].unsqueeze(1)
        smallest = min(smallest, float(_distances_to_hull(offsets_BND).min()))
    return smallest


def _lower_bounds(unit_KD: Tensor, classes_C: Tensor) -> Tensor:
    """(C,) lower bounds of the margins, by accelerated descent with restarts for all at once.

    The bound holds for any point x of the hull: along w_k - x, all other vectors lie behind w_k by
    at least the bound.
    """
    products_KK = unit_KD @ unit_KD.T
    own_CK = torch.arange(len(unit_KD)) == classes_C.unsqueeze(1)
    step = 1 / torch.linalg.matrix_norm(products_KK, 2).clamp(min=1)  # 0 if all rows are zero
    weights_CK = (~own_CK).double() / (len(unit_KD) - 1)
    ahead_CK, pace_C1 = weights_CK, torch.ones(len(classes_C), 1, dtype=torch.float64)
    for _ in range(_BOUND_STEPS):
        descent_CK = ahead_CK - step * (ahead_CK @ products_KK - products_KK[classes_C])
        next_CK = _onto_simplex(descent_CK.masked_fill(own_CK, -torch.inf))
        move_CK = next_CK - weights_CK
        uphill_C1 = ((ahead_CK - next_CK) * move_CK).sum(1, keepdim=True) > 0
        pace_C1 = pace_C1.masked_fill(uphill_C1, 1)
        next_pace_C1 = (1 + (1 + 4 * pace_C1.square()).sqrt()) / 2
        ahead_CK = next_CK + (pace_C1 - 1) / next_pace_C1 * move_CK
        weights_CK, pace_C1 = next_CK, next_pace_C1
    away_CD = unit_KD[classes_C] - weights_CK @ unit_KD
    away_CD = F.normalize(away_CD, dim=1)
    reach_CK = (away_CD @ unit_KD.T).masked_fill(own_CK, -torch.inf)
    return (away_CD * unit_KD[classes_C]).sum(1) - reach_CK.amax(1)


def _onto_simplex(points_CK: Tensor) -> Tensor:
    """Project onto the convex weights; entries of -inf get a weight of zero."""
    descending_CK = points_CK.sort(dim=1, descending=True).values
    excess_CK = descending_CK.cumsum(1) - 1
    rank_K = torch.arange(1, points_CK.shape[1] + 1)
    used_C1 = (descending_CK * rank_K > excess_CK).sum(1, keepdim=True)
    shift_C1 = excess_CK.gather(1, used_C1 - 1) / used_C1
    weights_CK: Tensor = torch.relu(points_CK - shift_C1)
    return weights_CK


def _distances_to_hull(points_BND: Tensor) -> Tensor:
    """(B,) distances of the origin to the convex hulls of N points."""
    products_BNN = points_BND @ points_BND.mT
    weights_BN = products_BNN.new_full(products_BNN.shape[:2], 1 / products_BNN.shape[1])
    # Multipliers of a >= 0. They satisfy their equation from the start, and a sums to one. Every
    # Newton step preserves both, and a^T z is the gap to the optimum.
    slopes_BN = (products_BNN @ weights_BN.unsqueeze(-1)).squeeze(-1)
    lowest, highest = (edge.unsqueeze(-1) for edge in slopes_BN.aminmax(dim=1))
    duals_BN = slopes_BN - lowest + (highest - lowest).clamp(min=1e-3)
    for _ in range(_MOST_STEPS):
        gap_B1 = (weights_BN * duals_BN).sum(1, keepdim=True)
        if gap_B1.max() <= _GAP:
            break
        target_B1 = 0.1 * gap_B1 / weights_BN.shape[1]
        barrier_BN = duals_BN / weights_BN
        factor_BNN, failed_B = torch.linalg.cholesky_ex(products_BNN + barrier_BN.diag_embed())
        right_BN = target_B1 / weights_BN - duals_BN
        sides_BN2 = torch.stack([right_BN, torch.ones_like(right_BN)], -1)
        newton_BN, ones_BN = torch.cholesky_solve(sides_BN2, factor_BNN).unbind(-1)
        level_B1 = newton_BN.sum(1, keepdim=True) / ones_BN.sum(1, keepdim=True)
        weight_step_BN = newton_BN - level_B1 * ones_BN
        dual_step_BN = right_BN - barrier_BN * weight_step_BN
        shrinking = torch.maximum(-weight_step_BN / weights_BN, -dual_step_BN / duals_BN)
        length_B1 = (0.99 / shrinking.amax(1, keepdim=True).clamp(min=1e-9)).clamp(max=1)
        # Converged rows stop here: further steps would divide rounding errors by rounding errors.
        moves_B1 = (gap_B1 > _GAP) & (failed_B == 0).unsqueeze(-1) & length_B1.isfinite()
        weights_BN = torch.where(moves_B1, weights_BN + length_B1 * weight_step_BN, weights_BN)
        duals_BN = torch.where(moves_B1, duals_BN + length_B1 * dual_step_BN, duals_BN)
    weights_BN = weights_BN / weights_BN.sum(1, keepdim=True)
    nearest_BD = (weights_BN.unsqueeze(1) @ points_BND).squeeze(1)
    distances_B: Tensor = torch.linalg.vector_norm(nearest_BD, dim=1)
    return distances_B
