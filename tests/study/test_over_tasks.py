import math

import pytest

from equiseg.study.comparison import Comparison
from equiseg.study.over_tasks import (
    method_scores,
    overall_difference,
    relative_costs,
    study_rows,
)
from equiseg.study.plan import Trial
from equiseg.study.ranking import paired_bootstrap
from equiseg.study.run_study import Study


def comparison(runs: dict[str, list[tuple[float, float, float | None]]]) -> Comparison:
    """Runs of (mIoU, tail, seconds a step), the baseline first."""
    seeds = list(range(len(next(iter(runs.values())))))
    made = {
        name: [
            {
                "seed": seed,
                "best_epoch": 3,
                "step_seconds": seconds,
                "provenance": {"commit": "abc"},
                "config": {"method": name},
                "test": {"miou": miou, "tail": tail, "iou": [miou, tail]},
            }
            for seed, (miou, tail, seconds) in enumerate(results)
        ]
        for name, results in runs.items()
    }
    groups = {"head": [0], "common": [], "tail": [1]}
    return Comparison("test", seeds, made, ["road", "sign"], groups, [9, 1])


@pytest.fixture
def study() -> Study:
    nan = math.nan
    a = {
        "plain": [(0.5, 0.2, 1.0), (0.6, 0.2, 3.0), (0.7, 0.2, 1.0)],
        "ceco": [(0.6, 0.1, 2.0), (0.6, nan, 2.0), (0.9, 0.5, None)],
    }
    b = {"plain": [(0.5, nan, None)], "ceco": [(0.4, 0.3, 1.0)]}
    tuning = {"a": {"ceco": [Trial("ceco:x=1", 0.4, False), Trial("ceco:x=2", 0.5, True)]}, "b": {}}
    return Study({"a": comparison(a), "b": comparison(b)}, tuning, "miou")


def test_scores_are_means_over_seeds_where_all_methods_have_them(study: Study):
    assert method_scores(study, "miou") == {
        "a": [pytest.approx(0.6), pytest.approx(0.7)],
        "b": [0.5, 0.4],
    }
    assert method_scores(study, "tail") == {"a": [pytest.approx(0.2), pytest.approx(0.3)]}
    assert method_scores(study, "ece") == {}


def test_differences_are_paired_by_seed_and_averaged_over_tasks(study: Study):
    """(0.1 + 0 + 0.2) / 3 on one task, -0.1 on the other."""
    overall = overall_difference(study, "ceco", "miou")
    assert overall.mean == pytest.approx(0.0)
    assert overall == paired_bootstrap([[0.6 - 0.5, 0.0, 0.9 - 0.7], [0.4 - 0.5]])
    kept = overall_difference(study, "ceco", "miou", resample_tasks=False)
    assert kept.high - kept.low < overall.high - overall.low


def test_with_one_task_the_interval_equals_the_one_on_its_page(study: Study):
    gap = study.comparisons["a"].difference("ceco", "tail")
    assert overall_difference(study, "ceco", "tail") == gap
    assert gap.mean == pytest.approx(0.1)
    assert math.isnan(overall_difference(study, "ceco", "ece").mean)


def test_costs_are_medians_relative_to_the_baseline(study: Study):
    assert relative_costs(study, "step_seconds") == {"plain": {"a": 1.0}, "ceco": {"a": 2.0}}
    assert relative_costs(study, "peak_memory_bytes") == {"plain": {}, "ceco": {}}


def test_every_run_is_a_row_with_its_setting(study: Study):
    rows = study_rows(study)
    assert [(row["task"], row["method"], row["seed"]) for row in rows] == [
        *(("a", name, seed) for name in ("plain", "ceco") for seed in range(3)),
        ("b", "plain", 0),
        ("b", "ceco", 0),
    ]
    chosen = rows[3]
    assert (chosen["setting"], chosen["loss"]) == ("ceco:x=2", "ceco")
    assert (chosen["miou"], chosen["tail"], chosen["step_seconds"]) == (0.6, 0.1, 2.0)
    assert chosen["ious"] == "road=0.6000 sign=0.1000"
    assert chosen["peak_memory_bytes"] is None  # not measured by runs of before
    assert rows[0]["setting"] == "plain"
