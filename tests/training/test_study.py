import math
from pathlib import Path

import pytest
import yaml

from equiseg.training.batch import Run, _environment, train_all
from equiseg.training.search import with_defaults
from equiseg.training.study import Plan, Task, run_study
from runs import tiny_config

FOCAL = "focal:method=focal(gamma=2 or uniform(0.5, 5))"


def plan(out: Path, **changes) -> Plan:
    tasks = [Task("a", tiny_config(epochs=1), [3]), Task("b", tiny_config(epochs=1), [3, 4])]
    return Plan(**{"tasks": tasks, "methods": ["cross_entropy", FOCAL], "out": out} | changes)


def test_trials_have_seeds_of_their_own_and_seeds_come_in_turn(tmp_path: Path):
    """A study that is cut off has pairs to show; a choice has not seen the runs it is judged by."""
    chosen = plan(tmp_path, trials=2)
    trials = chosen.trial_runs()
    names = [str(run.folder.relative_to(tmp_path)) for run in trials]
    assert names == ["a/focal/trial0", "b/focal/trial0", "a/focal/trial1", "b/focal/trial1"]
    assert {run.config.seed for run in trials}.isdisjoint({3, 4})
    settings = {(task, m): with_defaults(m) for task in "ab" for m in chosen.methods}
    finals = [str(run.folder.relative_to(tmp_path)) for run in chosen.final_runs(settings)]
    assert finals == [
        "a/cross_entropy/seed3",
        "a/focal/seed3",
        "b/cross_entropy/seed3",
        "b/focal/seed3",
        "b/cross_entropy/seed4",
        "b/focal/seed4",
    ]


def test_settings_begin_with_the_defaults_and_differ(tmp_path: Path):
    chosen = plan(tmp_path, trials=4)
    settings = chosen.settings(FOCAL)
    assert settings[0] == "focal:method=focal(gamma=2)"
    assert len(set(settings)) == 4
    assert plan(tmp_path, trials=3).settings(FOCAL) == settings[:3]  # a larger budget goes on
    few = "w:method=weighted_cross_entropy(weight=enet or choice(enet, inverse))"
    assert len(chosen.settings(few)) == 2
    assert chosen.settings("ceco") == ["ceco"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["ceco", "ceco"]}, "names, each its own"),
        ({"methods": []}, "names, each its own"),
        ({"tasks": [Task("a", tiny_config(), [])]}, "seeds must be at least one, each once"),
        ({"tasks": [Task("a", tiny_config(), [0, 0])]}, r"each once, got \[0, 0\]"),
        ({"select": "mIoU"}, "select must be one of miou, .* got 'mIoU'"),
        ({"methods": ["a:method=dice or choice(dize)"], "trials": 2}, "dize is none of"),
        ({"methods": ["ceco"], "trials": 3}, "have nothing to try; write a range"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"split": "train"}, r"split must be one of \['val', 'test'\], got 'train'"),
        ({"methods": ["focl"]}, "focl is none of"),
    ],
)
def test_plans_that_cannot_work(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        plan(tmp_path, **changes)


def test_a_trial_that_fails_counts_as_worst(tmp_path: Path):
    method = "cross_entropy:batch_size=4 or choice(1000)"
    tasks = [Task(".", tiny_config(epochs=1), [0])]
    trials = run_study(Plan(tasks, [method], tmp_path, trials=2)).tuning["."]["cross_entropy"]
    assert [trial.chosen for trial in trials] == [True, False]
    assert math.isnan(trials[1].score)


def test_a_trial_of_another_setting_is_not_taken_for_this_one(tmp_path: Path):
    tasks = [Task(".", tiny_config(epochs=1, log_collapse=False), [0])]
    before, after = (
        Plan(tasks, [f"focal:method=focal(gamma=2 or choice({gamma}))"], tmp_path, trials=2)
        for gamma in (3, 4)
    )
    train_all(before.trial_runs(), 2)
    assert before.choose()
    with pytest.raises(ValueError, match=r"another configuration .*gamma=3.*gamma=4"):
        after.choose()


def test_a_run_of_an_earlier_version_is_finished_all_the_same(tmp_path: Path):
    run = Run(tiny_config(epochs=1, log_collapse=False), tmp_path)
    train_all([run], 1)
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del written["adjust"]  # a field that it did not know
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written))
    assert run.is_finished


def test_each_process_of_torchrun_takes_one_gpu(monkeypatch):
    for name, value in {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    for visible, taken in (("4,7", "7"), ("4", "4")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        environment = _environment(tiny_config(), 1)
        assert environment["CUDA_VISIBLE_DEVICES"] == taken
        assert "LOCAL_RANK" not in environment


def test_a_failed_run_names_its_log(tmp_path: Path):
    tasks = [Task(".", tiny_config(batch_size=1000), [0])]
    with pytest.raises(RuntimeError, match=r"1 of 1 runs failed; see .*output\.log"):
        run_study(Plan(tasks, ["ceco"], tmp_path))
    log = (tmp_path / "ceco/seed0/output.log").read_text()
    assert "batch_size must be at most the 12 training samples" in log
    assert "Traceback" not in log


def test_processes_of_torchrun_share_the_runs_out(tmp_path: Path, monkeypatch):
    """The second of two processes trains the second run; without the first it would wait."""
    runs = [Run(tiny_config(epochs=1, seed=seed), tmp_path / str(seed)) for seed in range(2)]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    waited = []
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *_, **__: None)
    monkeypatch.setattr("torch.distributed.barrier", lambda: waited.append(True))
    train_all(runs, 1)
    assert [run.is_finished for run in runs] == [False, True]
    assert waited == [True]


def test_of_errors_the_least_is_best(tmp_path: Path):
    """Ratings are of calibration where that is asked for."""
    method = "cross_entropy:optimizer.lr=1e-3 or choice(1e-2)"
    tasks = [Task(".", tiny_config(epochs=1, log_collapse=False), [0])]
    chosen = Plan(tasks, [method], tmp_path, trials=2, select="ece")
    train_all(chosen.trial_runs(), 2)
    trials = chosen.choose()["."]["cross_entropy"]
    assert min(trials, key=lambda trial: trial.score).chosen
    assert trials[0].score != trials[1].score
