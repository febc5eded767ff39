import dataclasses
import math
from pathlib import Path

import pytest

from equiseg.records.run_result import read_result
from equiseg.study.plan import Plan, Task
from equiseg.study.run_study import run_study
from equiseg.training.run import train
from runs import tiny_config


def train_here(runs):
    """Finished runs, without the seconds that a process of its own takes to start."""
    for run in runs:
        train(run.config, run.folder)


def test_a_trial_that_fails_counts_as_worst(tmp_path: Path):
    method = "cross_entropy:batch_size=4 or choice(1000)"
    tasks = [Task(".", tiny_config(epochs=1), [0])]
    plan = Plan(tasks, [method], tmp_path, trials=2)
    train_here(plan.trial_runs()[:1])
    trials = run_study(plan).tuning["."]["cross_entropy"]
    assert [trial.chosen for trial in trials] == [True, False]
    assert math.isnan(trials[1].score)
    tried = read_result(tmp_path / "cross_entropy/trial0")
    assert "val" in tried
    assert "test" not in tried


def test_a_trial_with_another_setting_is_refused(tmp_path: Path):
    tasks = [Task(".", tiny_config(epochs=1, log_collapse=False), [0])]
    before, after = (
        Plan(tasks, [f"focal:method=focal(gamma=2 or choice({gamma}))"], tmp_path, trials=2)
        for gamma in (3, 4)
    )
    train_here(before.trial_runs())
    assert before.choose()
    with pytest.raises(ValueError, match=r"another configuration .*gamma=3.*gamma=4"):
        after.choose()


def test_the_reason_of_failed_runs_is_shown(tmp_path: Path):
    tasks = [Task(".", tiny_config(batch_size=1000), [0, 1])]
    told = r"(?s)2 of 2 runs failed:\s+ceco/seed0, ceco/seed1: batch_size must be .*output\.log"
    with pytest.raises(RuntimeError, match=told):
        run_study(Plan(tasks, ["ceco"], tmp_path))
    log = (tmp_path / "ceco/seed0/output.log").read_text()
    assert "batch_size must be at most the 12 training samples" in log
    assert "Traceback" not in log


def test_nothing_is_compared_if_no_setting_can_be_trained(tmp_path: Path):
    method = "cross_entropy:batch_size=1000 or choice(2000)"
    tasks = [Task(".", tiny_config(epochs=1), [0])]
    told = (
        r"(?s)no setting could be trained:\s+cross_entropy/trial0: batch_size must.*/trial1: batch"
    )
    with pytest.raises(RuntimeError, match=told):
        run_study(Plan(tasks, [method], tmp_path, trials=2))
    assert not (tmp_path / "cross_entropy/seed0").exists()


def test_the_smallest_calibration_error_is_best(tmp_path: Path):
    """Ratings are of calibration where that is asked for."""
    method = "cross_entropy:optimizer.lr=1e-3 or choice(1e-2)"
    tasks = [Task(".", tiny_config(epochs=1, log_collapse=False), [0])]
    chosen = Plan(tasks, [method], tmp_path, trials=2, select="ece")
    train_here(chosen.trial_runs())
    trials = chosen.choose()["."]["cross_entropy"]
    assert min(trials, key=lambda trial: trial.score).chosen
    assert trials[0].score != trials[1].score


def test_a_recorded_choice_is_kept(tmp_path: Path):
    """What was compared since was trained with it: a trial that is mended later changes nothing."""
    method = "focal:method=focal(gamma=2 or choice(3))"
    tasks = [Task(".", tiny_config(epochs=1, log_collapse=False), [0])]
    plan = Plan(tasks, [method], tmp_path, trials=2)
    train_here(plan.trial_runs())
    found = plan.choose()["."]["focal"]
    recorded = [dataclasses.replace(t, score=math.nan, chosen=not t.chosen) for t in found]
    plan.record({".": {"focal": recorded}})
    assert "NaN" not in (tmp_path / "focal/tuning.json").read_text()
    assert [t.chosen for t in plan.choose()["."]["focal"]] == [not t.chosen for t in found]
    by_tail = dataclasses.replace(plan, select="tail")
    assert not any(math.isnan(trial.score) for trial in by_tail.choose()["."]["focal"])
