"""Study: run a plan and collect its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from equiseg.data.title import data_title
from equiseg.foreign_files import FileError
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
from equiseg.whole_files import sweep


def run_study(
    plan: Plan,
    jobs: int = 1,
    report: Callable[[int], Report] = lambda total: lambda folder, share: None,
    command: str = "",
    tell: Callable[[str], None] = lambda text: None,
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
        tell: Receives a message for each run that is left out because of damaged records.

    Raises:
        FileError: If all runs of a task have damaged records.
        ValueError: If the folder of the study holds other results, or another process is writing to
            it.
        RuntimeError: If all settings of a method fail, or runs that are compared, with the reasons
            and where to read on, or runs were killed; the others are finished.
    """
    first = Launch.of_environment().first  # under torchrun one process writes for all
    check_outcome(plan.out, Outcome.COMPARISON)
    with held(plan.out) if first else nullcontext():
        if first:
            for folder in (plan.out, *(plan.out / task.name for task in plan.tasks)):
                # Not below it: a process that is still ending may write to a run.
                sweep(folder, nested=False)
            mark_outcome(plan.out, Outcome.COMPARISON)
        return _run(plan, jobs, report, _Telling(command, first, tell if first else _silent))


@dataclass(frozen=True)
class _Telling:
    """The command, whether this process writes for all, and the function that reports damage."""

    command: str
    first: bool
    tell: Callable[[str], None]


def _silent(text: str) -> None:
    """Report nothing."""


def _run(plan: Plan, jobs: int, report: Callable[[int], Report], telling: _Telling) -> Study:
    """The same, in a folder that is held."""
    trials = plan.trial_runs()
    for run in trials:
        if damage := run.damage():
            telling.tell(f"{damage}; without it this trial counts as worst")
    train_all(trials, jobs, report(len(trials)))
    for method in dict.fromkeys(run.folder.parent for run in trials):
        tried = [run for run in trials if run.folder.parent == method]
        if not any(run.is_usable for run in tried):
            raise RuntimeError(f"no setting could be trained:\n{_reasons(plan.out, tried)}")
    tuning = plan.choose(telling.tell)
    if telling.first:
        plan.record(tuning)
    chosen = {
        (task.name, method): _chosen(tuning[task.name].get(name_of(method)), method)
        for task in plan.tasks
        for method in plan.methods
    }
    runs = plan.final_runs(chosen)
    damaged = {run.folder: damage for run in runs if (damage := run.damage())}
    for damage in damaged.values():
        telling.tell(f"{damage}. The comparison leaves its seed out")
    train_all(runs, jobs, report(len(runs)))
    whole = [run for run in runs if run.folder not in damaged]
    if failed := [run for run in whole if not run.is_finished]:
        raise RuntimeError(
            f"{len(failed)} of {len(runs)} runs failed:\n{_reasons(plan.out, failed)}\nAll others "
            "are kept: fix the cause and start again, or leave their method or seed out"
        )
    return _collected(plan, tuning, telling, damaged)


def _collected(
    plan: Plan,
    tuning: dict[str, dict[str, list[Trial]]],
    telling: _Telling,
    damaged: Mapping[Path, str],
) -> Study:
    """The results of finished runs, and their records; seeds with a damaged run are left out."""
    command, write = telling.command, telling.first
    comparisons, hours = {}, {}
    for task in plan.tasks:
        of_seed = {
            seed: [plan.folder(task, method) / f"seed{seed}" for method in plan.methods]
            for seed in task.seeds
        }
        seeds = [seed for seed in task.seeds if not damaged.keys() & set(of_seed[seed])]
        if not seeds:
            raise FileError(
                "; ".join(
                    damaged[f] for folders in of_seed.values() for f in folders if f in damaged
                )
            )
        folders = {
            name_of(method): [of_seed[seed][number] for seed in seeds]
            for number, method in enumerate(plan.methods)
        }
        data = data_title(task.config.data.card, task.config.data.root)
        comparison = Comparison.collect(folders, seeds, plan.split, data=data, command=command)
        comparisons[task.name] = comparison
        if write:
            out = plan.out / task.name
            hours[task.name] = training_hours(out, comparison)
            comparison.save(out / COMPARISON)
            save_histories(read_histories(folders, telling.tell), out / CURVES)
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
