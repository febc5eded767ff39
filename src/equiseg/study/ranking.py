"""Statistics of several methods on several tasks: ranks, their significance, intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from equiseg.study.interval import Interval


def mean_ranks(scores_TM: Sequence[Sequence[float]]) -> list[float]:
    """Mean rank of each method over the tasks: 1 is best, those with one score share their ranks.

    Args:
        scores_TM: Score of each of M methods on each of T tasks, higher is better.

    Raises:
        ValueError: If a score is missing.
    """
    from scipy.stats import rankdata

    scores = _scores(scores_TM)
    return [float(rank) for rank in rankdata(-scores, axis=1).mean(0)]


def friedman(scores_TM: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Whether the methods differ at all: F statistic and p value.

    Friedman's test in the form of Iman and Davenport 1980, less conservative than his own
    (Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006, equation
    in section 3.2.2), with the correction for ties (Conover, "Practical Nonparametric Statistics",
    section 5.8): methods that find no pixel of the rare classes all have a score of 0.

    Args:
        scores_TM: Score of each of M methods on each of T tasks.

    Raises:
        ValueError: If there are fewer than two tasks or methods, or a score is missing.
    """
    from scipy.special import fdtrc
    from scipy.stats import rankdata

    scores = _scores(scores_TM)
    tasks, methods = scores.shape
    if tasks < 2 or methods < 2:
        raise ValueError(f"scores need two tasks and two methods at least, got {scores.shape}")
    ranks_TM = rankdata(-scores, axis=1)
    even = tasks * methods * (methods + 1) ** 2 / 4
    spread = (ranks_TM**2).sum() - even  # without ties T M (M^2 - 1) / 12
    if spread < 1e-9:  # all methods tie on every task
        return 0.0, 1.0
    chi2 = (methods - 1) * ((ranks_TM.sum(0) ** 2).sum() - tasks * even) / spread
    rest = tasks * (methods - 1) - chi2
    if rest < 1e-9:  # the same order on every task, except for rounding: one of all orders on each
        sizes = np.unique(ranks_TM[0], return_counts=True)[1]
        orders = math.factorial(methods) / math.prod(map(math.factorial, sizes.tolist()))
        return math.inf, float(orders) ** (1 - tasks)
    statistic = (tasks - 1) * chi2 / rest
    return float(statistic), float(fdtrc(methods - 1, (methods - 1) * (tasks - 1), statistic))


def critical_difference(num_methods: int, num_tasks: int, alpha: float = 0.05) -> float:
    """Smallest significant difference of two mean ranks (Nemenyi's test).

    Demšar 2006, section 3.2.2: q * sqrt(M (M + 1) / (6 T)), q the studentized range over sqrt(2).

    Args:
        num_methods: Methods M.
        num_tasks: Tasks T.
        alpha: Probability of calling any two methods different that do not differ.

    Raises:
        ValueError: If there are fewer than two methods, or no task.
    """
    from scipy.stats import studentized_range

    if num_methods < 2 or num_tasks < 1:
        raise ValueError(
            f"ranks need two methods and a task at least, got {num_methods} and {num_tasks}"
        )
    q = studentized_range.ppf(1 - alpha, num_methods, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(num_methods * (num_methods + 1) / (6 * num_tasks)))


def cliques(ranks: Sequence[float], difference: float) -> list[list[int]]:
    """Largest groups of methods that do not differ significantly, in order of rank.

    Args:
        ranks: Mean rank of each method.
        difference: The critical difference.
    """
    order = sorted(range(len(ranks)), key=lambda m: ranks[m])
    groups: list[list[int]] = []
    reached = 0
    for start in range(len(order)):
        end = start
        while end < len(order) and ranks[order[end]] - ranks[order[start]] < difference:
            end += 1
        if end > reached and end - start > 1:
            groups.append(order[start:end])
        reached = max(reached, end)
    return groups


def paired_bootstrap(
    differences_by_task: Sequence[Sequence[float]],
    draws: int = 10_000,
    seed: int = 0,
    *,
    resample_tasks: bool = True,
) -> Interval:
    """Mean over tasks of the mean difference over seeds, with a 95 % interval.

    Tasks are drawn with replacement, then seeds within each: the interval is about other tasks like
    these and other seeds. With one task, or ``resample_tasks=False``, it is about other seeds only.

    For few values the plain percentiles are too narrow: for five normal values they cover 82 %.
    They are moved outwards, so that for normal values the interval is as wide as Student's (the
    expanded percentile interval of Hesterberg, "What Teachers Should Know About the Bootstrap",
    The American Statistician 2015, section 5.3), which covers at least 90 % for five values. For
    three or fewer it runs from the smallest to the largest value at most, and covers less.

    Args:
        differences_by_task: Differences from the baseline for each task, paired by seed; NaN are
            left out.
        draws: Number of bootstrap draws.
        seed: Seed of the draws.
        resample_tasks: Whether tasks are drawn too.

    Returns:
        The interval. Its ends are NaN if each task has one seed and tasks are not drawn.

    Raises:
        ValueError: If a task has no difference.
    """
    tasks = [np.array([d for d in task if not math.isnan(d)]) for task in differences_by_task]
    if not tasks or not all(map(len, tasks)):
        raise ValueError("differences_by_task must hold a difference for every task")
    center = float(np.mean([task.mean() for task in tasks]))
    resample_tasks &= len(tasks) > 1
    beyond = _beyond([len(tasks)] if resample_tasks else [len(task) for task in tasks])
    if math.isnan(beyond):
        return Interval(center)
    means = _drawn_means(tasks, draws, np.random.default_rng(seed), resample_tasks)
    low, high = np.quantile(means, (beyond, 1 - beyond))
    return Interval(center, float(low), float(high))


def _drawn_means(
    tasks: Sequence[np.ndarray], draws: int, generator: np.random.Generator, resample_tasks: bool
) -> np.ndarray:
    """The mean of each bootstrap draw, (draws,)."""
    number = len(tasks)
    # A draw of tasks; then for each time that a task comes up, a draw of its seeds.
    chosen = np.broadcast_to(np.arange(number), (draws, number))
    if resample_tasks:
        chosen = generator.integers(number, size=(draws, number))
    means = np.empty((draws, number))
    for place in range(number):
        for task, values in enumerate(tasks):
            rows = np.flatnonzero(chosen[:, place] == task)
            picks = generator.integers(len(values), size=(len(rows), len(values)))
            means[rows, place] = values[picks].mean(1)
    drawn: np.ndarray = means.mean(1)
    return drawn


def _beyond(sizes: Sequence[int]) -> float:
    """Share of draws beyond either end; NaN where nothing varies.

    A bootstrap of n values knows a variance that is (n - 1) / n too small, and not that it is
    estimated.

    Args:
        sizes: How many values are drawn from, for each of the means that are averaged.
    """
    from scipy.special import ndtr, stdtrit

    freedom = sum(size - 1 for size in sizes)
    if not freedom:
        return math.nan
    small = sum(1 / n for n in sizes) / sum((n - 1) / n**2 for n in sizes)
    return float(ndtr(-math.sqrt(small) * stdtrit(freedom, 0.975)))


def _scores(scores_TM: Sequence[Sequence[float]]) -> np.ndarray:
    scores = np.asarray(scores_TM, dtype=float)
    if scores.ndim != 2 or not scores.size or np.isnan(scores).any():
        raise ValueError(
            f"scores must be one number a task and method, got shape {scores.shape} with "
            f"{int(np.isnan(scores).sum())} missing"
        )
    return scores
