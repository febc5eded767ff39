from pathlib import Path

import pytest

from equiseg.cli.main import main
from equiseg.study.plan import Plan, Task
from equiseg.study.run import run_study
from equiseg.training.outcome import Outcome, check_outcome
from equiseg.training.posthoc import adjust_run
from equiseg.training.run import train
from runs import tiny_config


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("config.yaml", "a run"),
        ("comparison.json", "a comparison"),
        ("ceco/seed0/config.yaml", "a comparison"),  # one that is not finished
        ("statistics.json", "counts of data"),
        ("diagnosis.json", "a diagnosis"),
    ],
)
def test_other_results_are_named(file: str, kind: str, tmp_path: Path):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    refused = 0
    for outcome in Outcome:
        if outcome.value[0] == kind:
            check_outcome(tmp_path, outcome)
            continue
        with pytest.raises(ValueError, match=rf"out: .* holds {kind} \({file}\); choose another"):
            check_outcome(tmp_path, outcome)
        refused += 1
    assert refused == len(Outcome) - 1


def test_free_folders_are_taken(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "new"):
        for outcome in Outcome:
            check_outcome(folder, outcome)


def test_nothing_is_written_among_counts(tmp_path: Path, finished_run: Path):
    counts = tmp_path / "statistics.json"
    counts.write_text("{}")
    with pytest.raises(ValueError, match="holds counts of data"):
        train(tiny_config(), tmp_path)
    with pytest.raises(ValueError, match="holds counts of data"):
        run_study(Plan([Task(".", tiny_config(), [0])], ["ceco"], tmp_path))
    with pytest.raises(ValueError, match="holds counts of data"):
        adjust_run(finished_run, tmp_path)
    for arguments in (["diagnose", str(finished_run)], ["stats", "scenes"]):
        folder = tmp_path if arguments[0] == "diagnose" else finished_run
        with pytest.raises(SystemExit, match="choose another folder"):
            main([*arguments, "--out", str(folder)])
    assert list(tmp_path.iterdir()) == [counts]
