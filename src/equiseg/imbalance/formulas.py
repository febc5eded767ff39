"""Measures of imbalance, class weights and priors, each by its published formula.

All take counts of each class in any unit (pixels, points, images, centers). Measures leave out
classes with a count of zero, so that an absent class changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

WeightFormula = Literal["inverse", "square_root", "enet", "median_frequency", "effective_number"]


def imbalance_factor(counts_K: Tensor | Sequence[float]) -> float:
    """Ratio of the largest to the smallest class count that is not zero (Cui et al. 2019).

    1 for balanced data, NaN if all counts are zero.
    """
    present = _present(_counts(counts_K))
    return float(present.max() / present.min()) if len(present) else math.nan


def gini(counts_K: Tensor | Sequence[float]) -> float:
    """Gini coefficient of the counts of the classes that occur.

    Mean difference between two classes over twice the mean count: 0 for balanced data; it
    approaches 1 - 1/K if one class has almost all counts. NaN if all counts are zero. (Yang et al.,
    "A Survey on Long-Tailed Visual Recognition", IJCV 2022, prefer it to the imbalance factor,
    which depends on only two classes.)
    """
    present = _present(_counts(counts_K)).sort().values
    if not len(present):
        return math.nan
    ranks = torch.arange(1, len(present) + 1, dtype=torch.float64)
    rank_sum = (2 * ranks - len(present) - 1) @ present
    return float(rank_sum / (len(present) * present.sum()))


def effective_num_classes(counts_K: Tensor | Sequence[float]) -> float:
    """Number of equally frequent classes with the same entropy (Hill 1973, order 1).

    K for balanced data, 1 if one class has all counts, NaN if all counts are zero.
    """
    present = _present(_counts(counts_K))
    if not len(present):
        return math.nan
    shares = present / present.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))


def effective_number(counts_K: Tensor | Sequence[float], beta: float = 0.999) -> Tensor:
    """Effective number of samples of each class, (1 - beta^n) / (1 - beta): (K,) float64.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples" (CVPR 2019), equation 2.
    Samples overlap, so each further sample adds less: the number is about n for small n, and at
    most 1 / (1 - beta). Pixel counts are far beyond that limit for any usual beta, so all classes
    would get the same number; use counts of images or centers, or a beta of 1 - 1 / N for N
    distinct pixels.

    Args:
        counts_K: (K,) counts of each class.
        beta: 0 (each class counts as one sample) to 1 (every sample is new: the count itself).

    Raises:
        ValueError: If beta lies outside 0..1.
    """
    counts = _counts(counts_K)
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must be 0 to 1, got {beta}; customary are 0.9 to 0.9999")
    if beta == 1:
        return counts
    if beta == 0:
        return (counts > 0).double()
    return -torch.expm1(counts * math.log(beta)) / (1 - beta)


def class_weights(
    counts_K: Tensor | Sequence[float],
    formula: WeightFormula,
    *,
    images_K: Tensor | Sequence[float] | None = None,
    beta: float = 0.999,
) -> Tensor:
    """Weights of the classes in a loss, by a named formula: (K,) float64.

    ========================  ====================================================================
    inverse                   1 / n
    square_root               1 / sqrt(n)
    enet                      1 / ln(1.02 + share of the pixels) (Paszke et al. 2016, ENet)
    median_frequency          median(f) / f with f = n / images with the class. Eigen & Fergus 2015
                              divide by the pixels of these images: the same if all images have one
                              size
    effective_number          (1 - beta) / (1 - beta^n) (Cui et al. 2019)
    ========================  ====================================================================

    Scaled to mean 1 over the classes that occur, so that one learning rate suits all formulas
    (factors that all classes share cancel). Classes with a count of zero get the largest weight of
    the others: the formulas have no value there, and a weight of 0 would switch off a class that
    is missing from the counted part of the data.

    Args:
        counts_K: (K,) counts n of each class, in training; pixels for enet and median_frequency.
        formula: One of the five names above.
        images_K: (K,) number of images with each class; required for median_frequency, else unused.
        beta: For effective_number only, see :func:`effective_number`.

    Raises:
        ValueError: If the formula is unknown, nothing was counted, or images_K is missing or does
            not fit the counts.

    Examples:
        >>> from equiseg import class_weights
        >>> [round(weight, 2) for weight in class_weights([100, 25, 4], "square_root").tolist()]
        [0.38, 0.75, 1.88]
    """
    counts = _counts(counts_K)
    occurs = counts > 0
    if not occurs.any():
        raise ValueError(
            "counts_K must hold a class that occurs, got zeros; count the labels first"
        )
    if formula == "inverse":
        weights = 1 / counts
    elif formula == "square_root":
        weights = counts.rsqrt()
    elif formula == "enet":
        weights = 1 / torch.log(1.02 + counts / counts.sum())
    elif formula == "median_frequency":
        weights = _images(images_K, counts) / counts
    elif formula == "effective_number":
        weights = 1 / effective_number(counts, beta)
    else:
        raise ValueError(
            f"formula must be one of {', '.join(get_args(WeightFormula))}, got {formula!r}"
        )
    weights = weights / weights[occurs].mean()
    return torch.where(occurs, weights, weights[occurs].max())


def class_prior(counts_K: Tensor | Sequence[float], *, total: float | None = None) -> Tensor:
    """Share of each class, never 0, so that its logarithm is finite: (K,) float64.

    A class with a count of zero gets the largest share of all classes, so that methods that adjust
    logits, margins or sampling by the prior favour it least. With a share near 0 the network would
    predict the unseen class wherever it is uncertain.

    Args:
        counts_K: (K,) counts of each class.
        total: Divisor of the counts, for counts that overlap (images with a class, as shares of
            all images). None takes the sum of the counts: the shares add up to 1 if every class
            occurs. 1 returns counts.
    """
    counts = _counts(counts_K)
    filled = torch.where(counts > 0, counts, counts.max() if counts.any() else 1)
    return filled / max(float(counts.sum()) if total is None else total, 1)


def _counts(counts_K: Tensor | Sequence[float]) -> Tensor:
    """Counts as one row of float64; raises an error for values that cannot be counts."""
    counts = torch.as_tensor(counts_K).double()
    if counts.ndim != 1 or not bool(((counts >= 0) & counts.isfinite()).all()):
        raise ValueError(
            f"counts_K must be one row of finite counts >= 0, got shape {tuple(counts.shape)} and "
            f"values {counts.flatten()[:5].tolist()}; pass one count per class"
        )
    return counts


def _present(counts: Tensor) -> Tensor:
    return counts[counts > 0]


def _images(images_K: Tensor | Sequence[float] | None, counts: Tensor) -> Tensor:
    if images_K is None:
        raise ValueError(
            "median_frequency needs images_K, the number of images with each class; pass "
            "images_K=statistics.images_K"
        )
    images = _counts(images_K)
    if images.shape != counts.shape or bool(((images == 0) & (counts > 0)).any()):
        raise ValueError(
            f"images_K must be at least 1 for each of the {len(counts)} classes that has pixels, "
            f"got {images[:5].tolist()}; take both from the same ClassStatistics"
        )
    return images
