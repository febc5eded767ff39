"""Study: the finished runs of the same methods on several tasks, and its record study.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError
from equiseg.records.checked import Fields, Maybe, check_form, named_damage
from equiseg.records.history import log_files, log_rows
from equiseg.records.json_values import without_nan
from equiseg.records.record_files import read_record, write_record
from equiseg.records.run_result import RESULT, read_result
from equiseg.study.comparison import COMPARISON, Comparison

STUDY, TUNING = "study.json", "tuning.json"
_TRIAL = Fields({"changes": str, "score": Maybe(float), "chosen": bool})
_TUNING = Fields({"select": str, "trials": [_TRIAL]})
_STUDY = Fields(
    {
        "tasks": [str],
        "select": str,
        "tuning": {str: {str: [_TRIAL]}},
        "hours": {str: float},
        "command": str,
    }
)


@dataclass(frozen=True)
class Trial:
    """A setting of a method that was tried.

    Attributes:
        changes: The method with the values that were drawn.
        score: On validation data; NaN where the run failed.
        chosen: Whether it was the best.
    """

    changes: str
    score: float
    chosen: bool

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Trial:
        """From JSON, where NaN is null."""
        score = math.nan if values["score"] is None else values["score"]
        return cls(values["changes"], score, values["chosen"])


@dataclass(frozen=True)
class Study:
    """Finished runs of the same methods on several tasks.

    Attributes:
        comparisons: The runs of each task; methods in the same order, the baseline first.
        tuning: For each task and method what was tried; empty where there was nothing to choose.
        select: The validation score that chose.
        hours: Hours of training of each task, all runs and trials added up; as far as known.
        command: The command that made it.
    """

    comparisons: dict[str, Comparison]
    tuning: dict[str, dict[str, list[Trial]]]
    select: str
    hours: dict[str, float] = field(default_factory=dict)
    command: str = ""

    @property
    def methods(self) -> list[str]:
        """Their names, the baseline first."""
        return list(next(iter(self.comparisons.values())).runs)

    @property
    def has_page(self) -> bool:
        """Whether there is more to say than on the page of one comparison."""
        return len(self.comparisons) > 1 or any(self.tuning.values())

    def save(self, folder: Path) -> None:
        """Write study.json; the comparisons have files of their own, ``folder/<task>``."""
        tuning = {
            task: {m: [dataclasses.asdict(t) for t in trials] for m, trials in methods.items()}
            for task, methods in self.tuning.items()
        }
        values = {
            "tasks": list(self.comparisons),
            "select": self.select,
            "tuning": without_nan(tuning),
            "hours": self.hours,
            "command": self.command,
        }
        write_record(folder / STUDY, "study", values)

    @classmethod
    def load(cls, folder: Path, tell: Callable[[str], None] = lambda text: None) -> Study:
        """Read a study.json and the comparisons of its tasks.

        Args:
            folder: Of the study.
            tell: Told which comparisons are damaged; their tasks are left out.

        Raises:
            FileError: If study.json or all comparisons are damaged, or of an unknown version.
        """
        path, again = folder / STUDY, "equiseg compare"
        values = read_record(path, "study", [*_STUDY.needed], again)
        check_form(path, again, values, _STUDY)
        if not values["tasks"] or set(values["tuning"]) - set(values["tasks"]):
            raise FileError(f"{path}: damaged or changed: tasks; write it again with {again}")
        tuning = {
            task: {m: [Trial.of(t) for t in trials] for m, trials in methods.items()}
            for task, methods in values["tuning"].items()
        }
        comparisons, damage = {}, ""
        for task in values["tasks"]:
            try:
                comparisons[task] = Comparison.load(folder / task / COMPARISON)
            except FileError as error:
                damage = f"{error}; this task is left out"
                tell(damage)
        if not comparisons:
            raise FileError(damage)
        tuning = {task: tuning.get(task, {}) for task in comparisons}
        return cls(comparisons, tuning, values["select"], values["hours"], values["command"])

    @classmethod
    def load_tasks(cls, folder: Path) -> Study | None:
        """A study from before there was a study.json, by the comparisons of its tasks.

        Returns:
            None where the subfolders hold no comparisons of the same methods.
        """
        files = sorted(folder.glob(f"*/{COMPARISON}"))
        comparisons = {file.parent.name: Comparison.load(file) for file in files}
        if not comparisons or len({tuple(c.runs) for c in comparisons.values()}) > 1:
            return None
        select = "miou"
        tuning: dict[str, dict[str, list[Trial]]] = {}
        for task, comparison in comparisons.items():
            tuning[task] = {}
            for method in comparison.runs:
                file = folder / task / method / TUNING
                if file.is_file():
                    select, tuning[task][method] = read_tuning(file)
        hours = {task: training_hours(folder / task, c) for task, c in comparisons.items()}
        return cls(comparisons, tuning, select, hours)


def read_tuning(path: Path) -> tuple[str, list[Trial]]:
    """The tuning.json of a method: the score for the choice, and the trials.

    Raises:
        FileError: If it is damaged.
    """
    again = "equiseg compare, after removing it"
    values = read_record(path, "tuning", [*_TUNING.needed], again)
    check_form(path, again, values, _TUNING)
    trials = [Trial.of(trial) for trial in values["trials"]]
    if sum(trial.chosen for trial in trials) != 1:
        raise FileError(f"{path}: one trial must be chosen; write it again with {again}")
    return values["select"], trials


def training_hours(folder: Path, comparison: Comparison) -> float:
    """Hours of steps and of waiting for data, of all runs and trials whose folders are there.

    Args:
        folder: Of the task, with ``<method>/seed<seed>`` and ``<method>/trial<n>``.
        comparison: Its runs.
    """
    hours = 0.0
    for method in comparison.runs:
        runs = [folder / method / f"seed{seed}" for seed in comparison.seeds]
        runs += sorted((folder / method).glob("trial*"))
        for run in runs:
            if (run / RESULT).is_file():
                with suppress(FileError):  # damaged runs were reported before
                    hours += _run_hours(run)
    return hours


def _run_hours(folder: Path) -> float:
    """Of one run, by the steps that it logged; 0 where its log is gone."""
    result, steps = read_result(folder), 0
    for file in log_files(folder):
        steps = max([steps, *(int(row["step"]) + 1 for row in log_rows(file))])
    with named_damage(folder / RESULT, "equiseg train, after removing it"):
        batches = steps * result["config"]["optimizer"]["accumulate"]
    # A resumed run that only had its scores left to compute measured no steps.
    seconds, waiting = result["step_seconds"] or 0.0, result["data_wait_share"] or 0.0
    return float(batches * seconds / (1 - waiting) / 3600)
