"""Study: run a plan and collect its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from equiseg.data.title import data_title
from equiseg.ranks import Launch
from equiseg.records.history import CURVES, read_histories, save_histories
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.runs.lock import held
from equiseg.study.comparison import COMPARISON, Comparison
from equiseg.study.parallel_runs import LOG, Report, Run, reason_of, train_all
from equiseg.study.plan import Plan
from equiseg.study.record import STUDY, Study, Trial, training_hours
from equiseg.study.search_ranges import with_defaults
from equiseg.study.variant import name_of


def run_study(
    plan: Plan,
    jobs: int = 1,
    report: Callable[[int], Report] = lambda total: lambda folder, share: None,
    command: str = "",
) -> Study:
    """Tune every method on validation data, train the best setting with every seed, collect.

    Finished runs are kept: started again, only missing runs are trained. A trial that fails counts
    as worst. Writes comparison.json and curves.json into the folder of each task, and study.json
    where there are several tasks or something was tuned.

    Args:
        plan: What to run.
        jobs: Runs in parallel.
        report: Given the number of runs of a stage, returns whom to tell how far each is.
        command: The command that runs it, for the records.

    Raises:
        ValueError: If the folder of the study holds other results, or another process is writing to
            it.
        RuntimeError: If all settings of a method fail, or runs that are compared, with the reasons
            and where to read on, or runs were killed; the others are finished.
    """
    first = Launch.of_environment().first  # under torchrun one process writes for all
    check_outcome(plan.out, Outcome.COMPARISON)
    with held(plan.out) if first else nullcontext():
        return _run(plan, jobs, report, command, first)


def _run(
    plan: Plan, jobs: int, report: Callable[[int], Report], command: str, first: bool
) -> Study:
    """The same, in a folder that is held."""
    if first:
        mark_outcome(plan.out, Outcome.COMPARISON)
    trials = plan.trial_runs()
    train_all(trials, jobs, report(len(trials)))
    for method in dict.fromkeys(run.folder.parent for run in trials):
        tried = [run for run in trials if run.folder.parent == method]
        if not any(run.is_finished for run in tried):
            raise RuntimeError(f"no setting could be trained:\n{_reasons(plan.out, tried)}")
    tuning = plan.choose()
    if first:
        plan.record(tuning)
    chosen = {
        (task.name, method): _chosen(tuning[task.name].get(name_of(method)), method)
        for task in plan.tasks
        for method in plan.methods
    }
    runs = plan.final_runs(chosen)
    train_all(runs, jobs, report(len(runs)))
    if failed := [run for run in runs if not run.is_finished]:
        raise RuntimeError(
            f"{len(failed)} of {len(runs)} runs failed:\n{_reasons(plan.out, failed)}\nAll others "
            "are kept: fix the cause and start again, or leave their method or seed out"
        )
    return _collected(plan, tuning, command, write=first)


def _collected(
    plan: Plan, tuning: dict[str, dict[str, list[Trial]]], command: str, *, write: bool
) -> Study:
    """The results of finished runs, and their records."""
    comparisons, hours = {}, {}
    for task in plan.tasks:
        folders = {
            name_of(method): [plan.folder(task, method) / f"seed{seed}" for seed in task.seeds]
            for method in plan.methods
        }
        data = data_title(task.config.data.card, task.config.data.root)
        comparison = Comparison.collect(folders, task.seeds, plan.split, data=data, command=command)
        comparisons[task.name] = comparison
        if write:
            out = plan.out / task.name
            hours[task.name] = training_hours(out, comparison)
            comparison.save(out / COMPARISON)
            save_histories(read_histories(folders), out / CURVES)
    study = Study(comparisons, tuning, plan.select, hours, command)
    if write and study.has_page:
        study.save(plan.out)
    elif write:
        (plan.out / STUDY).unlink(missing_ok=True)  # of an earlier study in this folder
    return study


def _reasons(out: Path, failed: Sequence[Run]) -> str:
    """Why runs failed, each reason once, with the log of the first that did."""
    folders: dict[str, list[Path]] = {}
    for run in failed:
        folders.setdefault(reason_of(run.folder), []).append(run.folder)
    lines = []
    for reason, alike in folders.items():
        names = ", ".join(str(folder.relative_to(out)) for folder in alike[:3])
        more = f" and {len(alike) - 3} more" * (len(alike) > 3)
        lines.append(f"  {names}{more}: {reason} ({alike[0] / LOG})")
    return "\n".join(lines)


def _chosen(trials: list[Trial] | None, method: str) -> str:
    """The best setting, or the only one."""
    if trials is None:
        return with_defaults(method)
    return next(trial.changes for trial in trials if trial.chosen)
