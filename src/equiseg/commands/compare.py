"""equiseg compare."""

from __future__ import annotations

import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from equiseg.commands.tables import comparison_table
from equiseg.records.run_result import RESULT
from equiseg.study.method_texts import method_texts
from equiseg.study.parallel_runs import Report, reason_of
from equiseg.study.plan import Plan, Task
from equiseg.study.run_study import run_study
from equiseg.study.variant import name_of
from equiseg.training.config import TrainConfig


@dataclass(frozen=True)
class TaskFile:
    """What methods are compared on.

    Attributes:
        config: YAML file with options of training; they go over those of the command line.
        seeds: Seeds of this task, where they are not those of all.
    """

    config: Path
    seeds: list[int] | None = None


def compare(
    config: TrainConfig,
    out: Path,
    methods: list[str] | dict[str, Any] = ["cross_entropy", "ceco"],  # noqa: B006 - read only
    seeds: list[int] = [0, 1, 2, 3, 4],  # noqa: B006
    jobs: int = 1,
    split: str = "test",
    tasks: dict[str, TaskFile] = {},  # noqa: B006
    trials: int = 1,
    search: list[str] | dict[str, Any] = [],  # noqa: B006
    select: str = "miou",
) -> None:
    """Train several methods with several seeds and compare them, paired by seed.

    Finished runs are kept: started again, or with more seeds, only what is missing is trained.
    Writes results.csv with a row a run, comparison.json, a page (report.html) and its figures into
    the folder. With several tasks it is a study: a page for each task, and one over all (of one
    task that is tuned, study.html). Under torchrun the processes share the runs out.

    Args:
        config: What all runs share.
        out: Folder of the comparison.
        methods: What to compare, the baseline first: a method, as "cross_entropy + dice", or a name
            with changes to the configuration, as "strong:method=cross_entropy +
            center_collapse(weight=0.8)". A value to tune is written with its default and a range,
            as "focal:method=focal(gamma=2 or uniform(0.5, 5))"; ranges are uniform, loguniform and
            choice. In a file also a mapping: the name of each with its method or its changes.
        seeds: Each method is trained with each of them.
        jobs: Runs beside each other; they share the cores unless --threads says otherwise.
        split: The split whose scores are compared. Settings are chosen on val.
        tasks: Name of each task with its file, as {camvid: {config: camvid.yaml}}; none compares
            on the data of this command.
        trials: Settings of each method that are tried on each task, with a seed of their own: the
            defaults, then random draws from the ranges. 1 tries nothing.
        search: Ranges that every method is given, as "optimizer.lr=1e-3 or loguniform(5e-4,4e-3)";
            in a file also a mapping.
        select: Validation score by which the best setting is chosen.
    """
    from equiseg.training.config_file import read_config

    opened = [
        Task(name, read_config(file.config, config), seeds if file.seeds is None else file.seeds)
        for name, file in tasks.items()
    ]
    run_comparison(
        opened or [Task(".", config, seeds)],
        method_texts(methods, search),
        out,
        command="equiseg " + shlex.join(sys.argv[1:]),
        jobs=jobs,
        split=split,
        trials=trials,
        select=select,
    )


def run_comparison(
    tasks: Sequence[Task],
    methods: Sequence[str],
    out: Path,
    *,
    command: str,
    jobs: int,
    split: str = "test",
    trials: int = 1,
    select: str = "miou",
) -> None:
    """Train, show how far each run is, print the tables, write the pages."""
    from equiseg.report.comparison.page import report_comparison
    from equiseg.report.study.page import PAGE, UNNAMED_PAGE, report_study, save_rows

    first = int(os.environ.get("RANK", 0)) == 0
    console = Console(quiet=not first)  # one voice under torchrun
    plan = Plan(tasks, methods, out, trials=trials, select=select, split=split)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: end the runs too
    with _bars(console, out) as report:
        study = run_study(plan, jobs, report)
    if not first:
        return
    save_rows(out, study)
    for task, method in product(plan.tasks, plan.methods):
        for number, trial in enumerate(study.tuning[task.name].get(name_of(method), ())):
            if math.isnan(trial.score):
                folder = plan.folder(task, method) / f"trial{number}"
                ended = (folder / RESULT).is_file()
                reason = f"it has no {select} on val" if ended else reason_of(folder)
                text = f"not chosen: {trial.changes}: {reason} ({folder})"
                console.print(Text(text, style="yellow"))
    pages = []
    for name, comparison in study.comparisons.items():
        if len(study.comparisons) > 1:
            console.rule(name)
        console.print(comparison_table(comparison))
        with console.status(f"drawing the page of {name}" if name != "." else "drawing the page"):
            pages.append(report_comparison(out / name, comparison, command))
    if len(pages) > 1 or any(study.tuning.values()):
        pages.append(report_study(out, study, command))
    for page in {out / PAGE, out / UNNAMED_PAGE}.difference(pages):
        page.unlink(missing_ok=True)  # of a comparison that was made here before
    console.print(f"page: [bold]{pages[-1]}[/bold]")


@contextmanager
def _bars(console: Console, out: Path) -> Iterator[Callable[[int], Report]]:
    """A bar over all runs of a stage, and one for each run that is under way."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:

        def stage(total: int) -> Report:
            overall = progress.add_task("runs", total=total, visible=total > 0)
            bars: dict[Path, TaskID] = {}
            ended: set[Path] = set()

            def show(folder: Path, share: float) -> None:
                name = str(folder.relative_to(out))
                if folder not in bars:
                    bars[folder] = progress.add_task(name, total=100, visible=share < 1)
                progress.update(bars[folder], completed=round(100 * share), visible=share < 1)
                if share == 1:  # told so more than once
                    if folder not in ended and not console.is_terminal:  # bars are drawn at the end
                        console.print(f"{len(ended) + 1} of {total} runs: {name} has ended")
                    ended.add(folder)
                    progress.update(overall, completed=len(ended))

            return show

        yield stage
