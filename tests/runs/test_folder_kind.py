from pathlib import Path

import pytest

from equiseg.cli.main import main
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.study.plan import Plan, Task
from equiseg.study.run_study import run_study
from equiseg.training.posthoc import adjust_run
from equiseg.training.run import train
from runs import tiny_config


@pytest.mark.parametrize("there", Outcome)
def test_the_error_names_the_other_results(there: Outcome, tmp_path: Path):
    mark_outcome(tmp_path / "new", there)
    mark_outcome(tmp_path / "new", there)
    refused = 0
    for outcome in set(Outcome) - {there}:
        asked = f"out: .*new holds {there.value}; choose another folder for {outcome.value}"
        for use in (check_outcome, mark_outcome):
            with pytest.raises(ValueError, match=asked):
                use(tmp_path / "new", outcome)
            refused += 1
    check_outcome(tmp_path / "new", there)
    assert refused == 2 * (len(Outcome) - 1)


def test_foreign_files_are_not_results(tmp_path: Path):
    for name in ("config.yaml", "results.csv", "statistics.json"):
        (tmp_path / name).write_text("")
    for outcome in Outcome:
        check_outcome(tmp_path, outcome)
        check_outcome(tmp_path / "new", outcome)
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_written_among_counts(tmp_path: Path, finished_run: Path):
    mark_outcome(tmp_path, Outcome.COUNTS)
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
    assert [path.name for path in tmp_path.iterdir()] == [".equiseg"]


def test_every_command_marks_its_folder(tmp_path: Path, finished_run: Path):
    run_study(Plan([Task(".", tiny_config(), [0])], ["ceco"], tmp_path / "comparison"))
    adjust_run(finished_run, tmp_path / "adjusted", tau=0.5)
    main(["stats", "scenes", "--num_scenes", "2", "--out", str(tmp_path / "counts")])
    main(["diagnose", str(finished_run), "--samples", "1", "--out", str(tmp_path / "diagnosis")])
    kinds = {
        finished_run: Outcome.RUN,
        tmp_path / "comparison": Outcome.COMPARISON,
        tmp_path / "comparison" / "ceco" / "seed0": Outcome.RUN,
        tmp_path / "adjusted": Outcome.RUN,
        tmp_path / "counts": Outcome.COUNTS,
        tmp_path / "diagnosis": Outcome.DIAGNOSIS,
    }
    for folder, kind in kinds.items():
        other = next(outcome for outcome in Outcome if outcome is not kind)
        with pytest.raises(ValueError, match=f"holds {kind.value}"):
            check_outcome(folder, other)


def test_an_unfinished_run_is_not_adjusted_over(tmp_path: Path, finished_run: Path):
    (tmp_path / "config.yaml").write_bytes((finished_run / "config.yaml").read_bytes())
    with pytest.raises(ValueError, match=r"out: .* holds a run; choose another folder"):
        adjust_run(finished_run, tmp_path, tau=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
