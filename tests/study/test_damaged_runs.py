"""A comparison goes on without runs whose records are damaged, after saying so."""

import json
import shutil
from pathlib import Path

import pytest

from equiseg.commands.draw_page import draw_page
from equiseg.foreign_files import FileError
from equiseg.records.record_files import write_record
from equiseg.study.plan import Plan, Task
from equiseg.study.record import read_tuning
from equiseg.study.run_study import run_study
from equiseg.training.run import train
from runs import tiny_config

CONFIG = tiny_config(epochs=1, log_collapse=False)
METHODS = ["cross_entropy", "dice"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, two seeds, all finished."""
    plan = Plan([Task(".", CONFIG, [0, 1])], METHODS, tmp_path_factory.mktemp("compared"))
    for run in plan.final_runs({(".", method): method for method in METHODS}):
        train(run.config, run.folder)  # here, which is quicker than in processes of their own
    run_study(plan)
    return plan.out


@pytest.fixture
def study(compared: Path, tmp_path: Path) -> Path:
    shutil.copytree(compared, tmp_path / "study")
    return tmp_path / "study"


def again(out: Path, seeds: tuple[int, ...] = (0, 1)):
    told: list[str] = []
    return run_study(Plan([Task(".", CONFIG, seeds)], METHODS, out), tell=told.append), told


@pytest.mark.parametrize("name", ["result.json", "config.yaml"])
@pytest.mark.parametrize("content", ["", '{"seed": ', '{"seed": "x"}'])
def test_the_seed_of_a_damaged_run_is_left_out_and_said(name: str, content: str, study: Path):
    (study / "dice/seed1" / name).write_text(content)
    found, told = again(study)
    assert found.comparisons["."].seeds == [0]
    assert len(told) == 1
    assert str(study / "dice/seed1" / name) in told[0]
    assert (study / "dice/seed1" / name).read_text() == content  # nothing is overwritten


def test_without_a_whole_seed_there_is_nothing_to_compare(study: Path):
    for seed in (0, 1):
        (study / f"dice/seed{seed}/result.json").write_text("{}")
    with pytest.raises(FileError, match=r"seed0/result\.json.*seed1/result\.json"):
        again(study)


@pytest.mark.parametrize(
    "content", ["", "nonsense\n1,2\n", "epoch,step,loss\n1,x,2\n", "epoch,step\n-1,1\n"]
)
def test_a_damaged_log_leaves_out_the_curves_of_its_run(content: str, study: Path):
    log = study / "dice/seed1/logs/version_0/metrics.csv"
    log.write_text(content)
    found, told = again(study)
    assert found.comparisons["."].seeds == [0, 1]
    assert [str(log) in text for text in told] == ([] if not content else [True])


def test_pages_leave_out_damaged_records_and_name_them(study: Path):
    for name in ("curves.json", "networks.json", "examples.npz"):
        (study / name).write_text("{")
    told: list[str] = []
    assert draw_page(study, tell=told.append).is_file()
    assert [text.split(": ")[0].rpartition("/")[2] for text in told] == [
        "curves.json",
        "networks.json",
        "examples.npz",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [0]},
        {"seeds": "01"},
        {"runs": {}},
        {"runs": {"dice": [{}]}},
        {"classes": ["a"]},
        {"groups": {"head": [0]}},
        {"groups": {"head": [99], "common": [], "tail": []}},
        {"pixels": [1e99]},
        {"split": "train"},
        {"unit": None},
    ],
)
def test_a_changed_comparison_is_named(change: dict, study: Path):
    file = study / "comparison.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(FileError, match=r"comparison\.json: .*(equiseg compare|nothing)"):
        draw_page(study)


@pytest.mark.parametrize(
    "values", [{}, {"select": "miou", "trials": [{}]}, {"select": "miou", "trials": []}]
)
def test_a_changed_choice_is_named(values: dict, tmp_path: Path):
    write_record(tmp_path / "tuning.json", "tuning", values)
    with pytest.raises(FileError, match=r"tuning\.json: "):
        read_tuning(tmp_path / "tuning.json")
