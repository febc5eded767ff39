"""Plan: which runs a study is made of, and which setting of a method was best."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from equiseg.data.sources import count_classes, split_names
from equiseg.foreign_files import FileError
from equiseg.metrics.catalogue import COMPARED, best_of
from equiseg.records.json_values import without_nan
from equiseg.records.record_files import write_record
from equiseg.records.run_result import read_result, score_of
from equiseg.study.parallel_runs import Run
from equiseg.study.record import TUNING, Trial, read_tuning
from equiseg.study.search_ranges import drawn, has_ranges, with_defaults
from equiseg.study.variant import Variant, name_of
from equiseg.training.config import TrainConfig
from equiseg.training.criterion import check_method

_RESERVED = ("figures",)  # a folder of the page's
# Far from the seeds anyone compares with: a choice must not have seen the runs it is judged by.
_TUNING_SEED = 1_000_003
_MOST_DRAWS = 1000  # of few choices there may be no more to draw


@dataclass(frozen=True)
class Task:
    """Data, a network and a schedule on which methods are compared.

    Attributes:
        name: How tables call it, and the name of its folder.
        config: What all methods share.
        seeds: Every method is trained with each.
    """

    name: str
    config: TrainConfig
    seeds: Sequence[int]


@dataclass(frozen=True)
class Plan:
    """All runs of a study.

    Args:
        tasks: Where methods are compared.
        methods: What is compared, the baseline first: as ``Variant.parse`` takes them, with ranges
            to search (:mod:`equiseg.study.search_ranges`).
        out: Folder of the study; runs are in ``out/<task>/<method>/seed<seed>`` and ``trial<n>``.
        trials: Settings to try of each method on each task: the defaults, then random draws.
        select: Validation score by which the best is chosen.
        split: Split whose scores are compared.

    Raises:
        ValueError: If names or seeds repeat, there is nothing to run or to try, a setting cannot be
            read, or there is no such split or score.
    """

    tasks: Sequence[Task]
    methods: Sequence[str]
    out: Path
    trials: int = 1
    select: str = "miou"
    split: str = "test"

    def __post_init__(self) -> None:
        _check_names("tasks", [task.name for task in self.tasks])
        for task in self.tasks:
            if not task.config.score_test and self.split == "test":
                raise ValueError(
                    "score_test=false leaves nothing to compare on; leave it out, or give "
                    "--split val"
                )
            if not task.seeds or len(set(task.seeds)) < len(task.seeds):
                raise ValueError(f"seeds must be at least one, each once, got {[*task.seeds]}")
        if self.select not in COMPARED:
            raise ValueError(f"select must be one of {', '.join(COMPARED)}, got {self.select!r}")
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, got {self.trials}; 1 takes the defaults")
        if self.trials > 1 and not any(map(has_ranges, self.methods)):
            raise ValueError(
                f"trials={self.trials} have nothing to try; write a range into a method, as in "
                "'focal:method=focal(gamma=2 or uniform(0.5, 5))', or give --search"
            )
        for task in self.tasks:
            known = split_names(task.config.data)
            if self.split not in known or self.split == "train":
                scored = [name for name in known if name != "train"]
                raise ValueError(f"split must be one of {scored}, got {self.split!r}")
            num_classes = count_classes(task.config.data)
            for text in (text for method in self.methods for text in self.settings(method)):
                config = Variant.parse(text, task.config).config
                try:
                    check_method(config.method, num_classes)
                except ValueError as error:
                    raise ValueError(f"methods: {text!r}: {error}") from error
        _check_names("methods", [name_of(method) for method in self.methods])

    def settings(self, method: str) -> list[str]:
        """The settings to try of a method: its defaults, then distinct random draws."""
        settings = [with_defaults(method)]
        for seed in range(_MOST_DRAWS * has_ranges(method)):
            if len(settings) == self.trials:
                break
            if (draw := drawn(method, seed)) not in settings:
                settings.append(draw)
        return settings

    def folder(self, task: Task, method: str) -> Path:
        """Where the runs of a method on a task are."""
        return self.out / task.name / name_of(method)

    def trial_runs(self) -> list[Run]:
        """The runs that choose a setting, for methods with several settings."""
        rounds = (
            (task, method, trial, settings[trial])
            for trial in range(self.trials)
            for task in self.tasks
            for method in self.methods
            if 1 < len(settings := self.settings(method)) > trial
        )
        return [self._trial(task, method, trial, text) for task, method, trial, text in rounds]

    def final_runs(self, chosen: dict[tuple[str, str], str]) -> list[Run]:
        """The runs that are compared, seed by seed: a study that is cut off has pairs to show.

        Args:
            chosen: The setting of each (task, method).
        """
        rounds = max(len(task.seeds) for task in self.tasks)
        return [
            Run(
                dataclasses.replace(
                    Variant.parse(chosen[task.name, method], task.config).config,
                    seed=task.seeds[i],
                ),
                self.folder(task, method) / f"seed{task.seeds[i]}",
            )
            for i in range(rounds)
            for task in self.tasks
            if i < len(task.seeds)
            for method in self.methods
        ]

    def _trial(self, task: Task, method: str, trial: int, text: str) -> Run:
        config = Variant.parse(text, task.config).config
        config = dataclasses.replace(config, seed=_TUNING_SEED, score_test=False)
        return Run(config, self.folder(task, method) / f"trial{trial}")

    def choose(
        self, tell: Callable[[str], None] = lambda text: None
    ) -> dict[str, dict[str, list[Trial]]]:
        """The score of every trial, and the best one, for each method with several settings.

        A recorded choice (:meth:`record`) is kept: the compared runs were trained with it.

        Args:
            tell: Told which records are damaged: a choice is made again, a trial counts as worst.
        """
        return {
            task.name: {
                name_of(method): self._recorded(task, method, tell) or self._best(task, method)
                for method in self.methods
                if len(self.settings(method)) > 1
            }
            for task in self.tasks
        }

    def record(self, tuning: dict[str, dict[str, list[Trial]]]) -> None:
        """Write the trials of each method into its folder."""
        for task, methods in tuning.items():
            for method, trials in methods.items():
                tried = [dataclasses.asdict(trial) for trial in trials]
                known = without_nan({"select": self.select, "trials": tried})
                write_record(self.out / task / method / TUNING, "tuning", known)

    def _best(self, task: Task, method: str) -> list[Trial]:
        """The trials as they came out."""
        settings = self.settings(method)
        runs = [self._trial(task, method, t, text) for t, text in enumerate(settings)]
        scores = [
            score_of(read_result(run.folder)["val"], self.select) if run.is_usable else math.nan
            for run in runs
        ]
        best = best_of(scores, self.select)
        return [Trial(s, scores[t], t == best) for t, s in enumerate(settings)]

    def _recorded(self, task: Task, method: str, tell: Callable[[str], None]) -> list[Trial] | None:
        """The trials as they were recorded, if they are the same."""
        path = self.folder(task, method) / TUNING
        if not path.exists():
            return None
        try:
            select, trials = read_tuning(path)
        except FileError as error:
            tell(f"{error}; the best trial is chosen again")
            return None
        if select != self.select:
            return None
        return trials if [t.changes for t in trials] == self.settings(method) else None


def _check_names(what: str, names: Sequence[str]) -> None:
    """Refuse names that are no folders of their own."""
    if not names:
        raise ValueError(f"{what}: there are none; give at least one")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{what}: {name!r} is there {names.count(name)} times; give each a name of its own"
            )
        if name in _RESERVED or (name != "." and not re.fullmatch(r"[\w+-][\w.+-]*", name)):
            raise ValueError(
                f"{what}: a name is made of letters, digits, '_', '.', '+' and '-', does not begin "
                f"with '.' and is not {', '.join(_RESERVED)}, got {name!r}"
            )
