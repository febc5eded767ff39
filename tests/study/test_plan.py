from pathlib import Path

import pytest

from equiseg.study.plan import Plan, Task
from equiseg.study.search_ranges import with_defaults
from runs import tiny_config

FOCAL = "focal:method=focal(gamma=2 or uniform(0.5, 5))"


def plan(out: Path, **changes) -> Plan:
    tasks = [Task("a", tiny_config(epochs=1), [3]), Task("b", tiny_config(epochs=1), [3, 4])]
    return Plan(**{"tasks": tasks, "methods": ["cross_entropy", FOCAL], "out": out} | changes)


def test_trials_use_other_seeds_and_final_runs_go_seed_by_seed(tmp_path: Path):
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
        ({"methods": ["ceco", "ceco"]}, "'ceco' is there 2 times"),
        ({"methods": []}, "methods: there are none; give at least one"),
        ({"tasks": []}, "tasks: there are none"),
        ({"tasks": 2 * [Task("a", tiny_config(), [0])]}, "tasks: 'a' is there 2 times"),
        ({"tasks": [Task("../a", tiny_config(), [0])]}, r"tasks: a name .* got '\.\./a'"),
        ({"methods": ["figures:method=ceco"]}, "is not figures"),
        ({"methods": ["ceco", "a:seed=3"]}, "sets a seed; give them to all"),
        ({"tasks": [Task("a", tiny_config(score_test=False), [0])]}, "score_test=false leaves"),
        ({"tasks": [Task("a", tiny_config(), [])]}, "seeds must be at least one, each once"),
        ({"tasks": [Task("a", tiny_config(), [0, 0])]}, r"each once, got \[0, 0\]"),
        ({"select": "mIoU"}, "select must be one of miou, .* got 'mIoU'"),
        ({"methods": ["a:method=dice or choice(dize)"], "trials": 2}, "unknown loss 'dize'"),
        ({"methods": ["ceco"], "trials": 3}, "have nothing to try; write a range"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"split": "train"}, r"split must be one of \['val', 'test'\], got 'train'"),
        ({"methods": ["focl"]}, "unknown loss 'focl'"),
        ({"methods": ["weighted_cross_entropy"]}, "needs class_weight, one of inverse"),
        ({"methods": ["a:method=focal(gamma=-1)"]}, "gamma must be a finite number >= 0, got -1"),
        ({"methods": ["a:method=ldam(class_counts=[1, 2])"]}, "one number per class"),
        (
            {"methods": ["a:method=focal(alpha=enet or choice(squareroot))"], "trials": 2},
            "class_weight must be one of inverse",
        ),
        (
            {
                "methods": [
                    "ceco",
                    "cross_entropy + center_collapse",
                    "cross_entropy+center_collapse",
                ]
            },
            r"'cross_entropy\+center_collapse' is there 2 times",
        ),
    ],
)
def test_invalid_plans_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        plan(tmp_path, **changes)
