"""A comparison: its runs with their progress, its tables and its pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from equiseg.commands.tables import comparison_table
from equiseg.foreign_files import FileError
from equiseg.foreign_text import printable
from equiseg.ranks import Launch
from equiseg.records.run_result import RESULT, read_result
from equiseg.report.wording import count
from equiseg.runs.terminal import as_is, folder_line
from equiseg.study.parallel_runs import Report, reason_of
from equiseg.study.plan import Plan
from equiseg.study.record import Study
from equiseg.study.run_study import run_study
from equiseg.study.variant import name_of


def run_comparison(plan: Plan, jobs: int, command: str) -> None:
    """Train what is missing, print the tables, write the pages.

    Args:
        plan: Tasks and methods.
        jobs: Number of parallel runs.
        command: The command that the pages name.
    """
    first = Launch.of_environment().first
    console = Console(quiet=not first)  # one voice under torchrun

    def tell(text: str) -> None:
        console.print(as_is(text, "yellow"))

    with _bars(console, plan.out) as report:
        study = run_study(plan, jobs, report, command, tell)
    if first:
        _show_failed_trials(plan, study, console)
        _show_and_draw(plan, study, console)


def _show_failed_trials(plan: Plan, study: Study, console: Console) -> None:
    for task, method in product(plan.tasks, plan.methods):
        for number, trial in enumerate(study.tuning[task.name].get(name_of(method), ())):
            if math.isnan(trial.score):
                folder = plan.folder(task, method) / f"trial{number}"
                reason = _why_without_score(folder, plan.select)
                text = f"not chosen: {trial.changes}: {reason} ({folder})"
                console.print(as_is(text, "yellow"))


def _why_without_score(trial: Path, select: str) -> str:
    """Why a trial has no score to be chosen by: it failed, its result is damaged, or lacks it."""
    if not (trial / RESULT).is_file():
        return reason_of(trial)
    try:
        read_result(trial)
    except FileError as error:
        return str(error)
    return f"it has no {select} on val"


def _show_and_draw(plan: Plan, study: Study, console: Console) -> None:
    """A table and a page for each task, and a page over all."""
    from equiseg.commands.draw_page import draw_page
    from equiseg.report.study.page import UNNAMED_PAGE, save_rows
    from equiseg.study.network_records import record_networks

    out = plan.out
    save_rows(out, study)
    for name, comparison in study.comparisons.items():
        if len(study.comparisons) > 1:
            console.rule(as_is(name))
        console.print(comparison_table(comparison))
        if not console.is_terminal:
            console.print("diagnosing the networks of the first seed and drawing the page")
        with console.status("diagnosing the networks of the first seed"):
            problem = record_networks(out / name, comparison)
        if problem:
            console.print(as_is(f"no examples and no centers are shown: {problem}", "yellow"))
    with console.status("drawing the pages"):
        page = draw_page(out)
    if page.name != UNNAMED_PAGE:
        (out / UNNAMED_PAGE).unlink(missing_ok=True)  # of an earlier comparison in this folder
    console.print(folder_line("page: ", page))


@contextmanager
def _bars(console: Console, out: Path) -> Iterator[Callable[[int], Report]]:
    """A bar over all runs of a stage, and one for each run in progress."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:

        def stage(total: int) -> Report:
            overall = progress.add_task("runs", total=total, visible=total > 0)
            bars: dict[Path, TaskID] = {}
            ended: set[Path] = set()
            if total and not console.is_terminal:  # no bars are drawn there
                console.print(f"training {count(total, 'run')}")

            def show(folder: Path, share: float) -> None:
                name = escape(printable(folder.relative_to(out)))
                if folder not in bars:
                    bars[folder] = progress.add_task(name, total=100, visible=share < 1)
                progress.update(bars[folder], completed=round(100 * share), visible=share < 1)
                if share == 1:  # reported more than once
                    if folder not in ended and not console.is_terminal:
                        console.print(f"{len(ended) + 1} of {total} runs: {name} has ended")
                    ended.add(folder)
                    progress.update(overall, completed=len(ended))

            return show

        yield stage
