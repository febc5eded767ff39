import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from equiseg.study.interval import Interval
from equiseg.study.ranking import (
    cliques,
    critical_difference,
    friedman,
    mean_ranks,
    paired_bootstrap,
)


def test_equal_scores_share_their_rank():
    assert mean_ranks([[0.9, 0.5, 0.5, 0.1]]) == [1.0, 2.5, 2.5, 4.0]
    assert mean_ranks([[3, 2, 1], [1, 2, 3]]) == [2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match=r"one number a task and method, .* 1 missing"):
        mean_ranks([[0.1, math.nan]])


def test_friedman_on_the_worked_example_of_demsar():
    """JMLR 2006, table 6: ranks 3.143, 2.000, 2.893, 1.964 on 14 sets.

    Without the correction for ties chi2 is 9.28 and F 3.69, as there; with it chi2 is 10.23, as in
    scipy.
    """
    scores = [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
    assert mean_ranks(scores) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    statistic, p = friedman(scores)
    chi2 = friedmanchisquare(*np.array(scores).T).statistic
    assert chi2 == pytest.approx(10.23, abs=0.01)
    assert statistic == pytest.approx(13 * chi2 / (14 * 3 - chi2)) and 0.01 < p < 0.05
    assert friedman([list(range(11))] * 3) == (math.inf, math.factorial(11) ** -2)
    assert friedman([[1, 2], [1, 2]]) == (math.inf, 0.5)  # by chance every other time
    assert friedman([[3, 2, 1], [1, 2, 3]]) == (0.0, 1.0)
    assert friedman([[1, 1], [0, 0]]) == (0.0, 1.0)  # all tie
    assert friedman([[1, 1, 2], [1, 1, 2]]) == (math.inf, pytest.approx(1 / 3))
    with pytest.raises(ValueError, match=r"two tasks and two methods at least, got \(1, 3\)"):
        friedman([[3, 2, 1]])


def test_friedman_without_ties_is_the_form_of_demsar():
    scores = np.random.default_rng(0).random((5, 6))
    chi2 = 12 * 5 / (6 * 7) * ((np.array(mean_ranks(scores.tolist())) ** 2).sum() - 6 * 49 / 4)
    assert friedman(scores.tolist())[0] == pytest.approx(4 * chi2 / (5 * 5 - chi2))


def test_critical_differences_match_the_table_of_demsar():
    q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 10: 3.164}  # table 5a, alpha 0.05
    for methods, value in q.items():
        expected = value * math.sqrt(methods * (methods + 1) / (6 * 14))
        assert critical_difference(methods, 14) == pytest.approx(expected, rel=1e-3)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=0.01)
    with pytest.raises(ValueError, match="two methods and a task"):
        critical_difference(1, 3)


def test_cliques_are_the_largest_groups_without_significant_difference():
    assert cliques([1.0, 4.0, 2.0, 3.5], 1.7) == [[0, 2], [2, 3], [3, 1]]
    assert cliques([1.0, 2.0, 3.0], 5) == [[0, 1, 2]]
    assert cliques([1.0, 2.0, 3.0], 0.5) == []
    assert cliques([1.0, 1.4, 1.8, 5.0], 1) == [[0, 1, 2]]


def test_the_bootstrap_covers_seeds_and_tasks():
    generator = np.random.default_rng(1)
    alike = [generator.normal(1, 0.1, 5).tolist() for _ in range(6)]
    apart = [(generator.normal(1, 0.1, 5) + shift).tolist() for shift in (-2, -1, 0, 0, 1, 2)]
    narrow, wide = paired_bootstrap(alike), paired_bootstrap(apart)
    kept = paired_bootstrap(apart, resample_tasks=False)
    assert narrow.mean == pytest.approx(np.mean([np.mean(task) for task in alike]))
    assert narrow.excludes_zero
    assert wide.high - wide.low > 5 * (kept.high - kept.low)
    # Student's interval of six means, two thirds of which deviate.
    deviation = np.std([np.mean(task) for task in apart], ddof=1) / math.sqrt(6)
    assert wide.high - wide.low == pytest.approx(2 * 2.571 * deviation, rel=0.1)
    assert paired_bootstrap(apart) == wide


def test_one_task_is_a_bootstrap_of_seeds():
    """Of three the interval can be no wider than from the smallest to the largest."""
    interval = paired_bootstrap([[1.0, 2.0, math.nan, 3.0]])
    assert interval == Interval(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="a difference for every task"):
        paired_bootstrap([[math.nan], [1.0]])


def test_without_variation_there_is_no_interval():
    """One seed shows nothing, however large its difference."""
    for one_seed in (
        paired_bootstrap([[1.0]]),
        paired_bootstrap([[1.0], [3.0]], resample_tasks=False),
        Interval.paired([1.0], [0.0]),
    ):
        assert math.isnan(one_seed.low)
        assert math.isnan(one_seed.high)
        assert not one_seed.excludes_zero
    assert paired_bootstrap([[1.0], [3.0]]) == Interval(2.0, 1.0, 3.0)  # tasks vary


@pytest.mark.parametrize(
    ("tasks", "seeds", "between", "resample"),
    [(5, 5, 1.0, True), (5, 5, 0.0, True), (1, 5, 0.0, False), (5, 3, 0.0, False)],
)
def test_intervals_of_few_values_have_their_coverage(tasks, seeds, between, resample):
    """Plain percentiles cover the true 0 in 87, 95, 84 and 85 % of such draws."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        gaps = generator.normal(0, between, (tasks, 1)) + generator.normal(0, 0.3, (tasks, seeds))
        covered += not paired_bootstrap(gaps, 2000, resample_tasks=resample).excludes_zero
    assert covered >= 0.87 * 200


def test_student_and_the_bootstrap_agree_on_many_seeds():
    values = np.random.default_rng(3).normal(1, 2, 60)
    student = Interval.paired(values, np.zeros(60))
    drawn = paired_bootstrap([values])
    assert drawn.mean == pytest.approx(student.mean)
    assert drawn.low == pytest.approx(student.low, abs=0.1)
    assert drawn.high == pytest.approx(student.high, abs=0.1)
