"""A study from its file to its pages."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from equiseg.cli.main import main
from equiseg.training.config_file import write_config
from runs import tiny_config


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for name in ("a", "b"):
        write_config(tiny_config(epochs=1, log_collapse=False), folder / f"{name}.yaml")
    described = {
        "trials": 2,
        "methods": ["cross_entropy", "focal:method=focal(gamma=2 or uniform(0.5, 5))"],
        "seeds": [3],
        "tasks": {
            "a": {"config": str(folder / "a.yaml")},
            "b": {"config": str(folder / "b.yaml"), "seeds": [3, 4]},
        },
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(described))
    main(["compare", "--config", str(folder / "study.yaml"), "--jobs", "2", "--out", str(folder)])
    return folder


def test_every_run_is_a_row(study: Path):
    with (study / "results.csv").open(newline="") as file:
        rows = [(row["task"], row["method"], row["seed"]) for row in csv.DictReader(file)]
    expected = [(t, m, s) for t, s in (("a", "3"), ("b", "3"), ("b", "4")) for m in ("c", "f")]
    assert sorted((t, m[0], s) for t, m, s in rows) == sorted((t, m, s) for t, m, s in expected)


def test_the_best_trial_is_trained_with_every_seed(study: Path):
    for task, seeds in (("a", [3]), ("b", [3, 4])):
        trials = json.loads((study / task / "focal" / "tuning.json").read_text())["trials"]
        assert len(trials) == 2
        (best,) = (trial for trial in trials if trial["chosen"])
        assert best["score"] == max(trial["score"] for trial in trials)
        for seed in seeds:
            result = json.loads(
                (study / task / "focal" / f"seed{seed}" / "result.json").read_text()
            )
            assert f"focal:method={result['method']}" == best["changes"]
    assert not (study / "a" / "cross_entropy" / "tuning.json").exists()


def test_there_is_a_page_for_every_task_and_one_over_all(study: Path):
    for page in ("a/report.html", "b/report.html", "report.html"):
        assert "focal" in (study / page).read_text(encoding="utf-8")


def test_a_finished_study_is_not_trained_again(study: Path, capsys):
    before = {path: path.stat().st_mtime_ns for path in study.rglob("result.json")}
    assert len(before) == 10
    main(["compare", "--config", str(study / "study.yaml"), "--out", str(study)])
    assert {path: path.stat().st_mtime_ns for path in study.rglob("result.json")} == before
