"""What a study took, was given and was made with: cost, runs, settings, provenance."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from equiseg.records.run_result import RESULT, read_result
from equiseg.report.html import Cell, Html, Row, command_block, details, facts, section, table
from equiseg.report.study.wording import METRICS, card_of, task_title
from equiseg.report.wording import NONE, count, number
from equiseg.study.comparison import Comparison
from equiseg.study.over_tasks import relative_costs
from equiseg.study.plan import Trial
from equiseg.study.run_study import Study


def cost_section(study: Study) -> Html:
    """Seconds a step and memory, relative to the baseline."""
    tables = [
        _cost_table(study, "step_seconds", "a step", lambda s: f"{number(s, 1000, 0)} ms"),
        _cost_table(study, "peak_memory_bytes", "memory", lambda b: f"{number(b, 2**-20, 0)} MiB"),
    ]
    runs = [r for c in study.comparisons.values() for runs in c.runs.values() for r in runs]
    of = {run["memory_of"] for run in runs if run.get("memory_of")}
    meaning = {
        "fit": "the most that training held beyond what the process held when it began",
        "process": "the most the whole process ever held, and maybe the one that started it",
        "cuda": "the most that was allocated on the GPU",
    }
    memory = " and ".join(meaning.get(one, one) for one in sorted(of))
    caption = (
        f"Medians over seeds; of {study.methods[0]} itself, of the others over it. The last column "
        "is the geometric mean over the tasks. Runs beside each other slow each other down: a few "
        "percent are no difference."
    )
    return section("Cost", caption + (f" Memory is {memory}." if memory else ""), *tables)


def budget_section(out: Path, study: Study) -> Html:
    """What each task is, how much was run on it, and for how long."""
    rows: list[Row] = []
    total, threads = 0.0, set()
    for task, comparison in study.comparisons.items():
        config = comparison.runs[comparison.baseline][0]["config"]
        tried = study.tuning.get(task, {})
        hours = _hours(out / task, comparison, tried)
        total += hours
        threads.add(config.get("threads"))
        trials = sum(map(len, tried.values()))
        title, card = task_title(study, task), card_of(comparison)
        rows.append(
            [
                Cell(title, note=card if card != title else ""),
                Cell(str(len(comparison.classes)), len(comparison.classes)),
                str((config.get("model") or {}).get("name") or "the default"),
                Cell(str(config.get("epochs", NONE)), config.get("epochs", math.nan)),
                Cell(", ".join(map(str, comparison.seeds)), len(comparison.seeds)),
                Cell(str(trials), trials),
                Cell(str(runs := len(comparison.seeds) * len(study.methods)), runs),
                Cell(f"{number(hours, 1, 2)} h" if hours else NONE, hours or math.nan),
            ]
        )
    caption = f"Every method has the same schedule and the same seeds. {_tried(study)}"
    if total:
        caption += (
            f" Training took {number(total, 1, 1)} hours in all, run after run{_each(threads)}: "
            "steps and waiting for data, of trials and final runs, without validation."
        )
    heads = ["task", "classes", "network", "epochs", "seeds", "trials", "final runs", "training"]
    return section("What was run", caption, table(heads, rows))


def settings_section(study: Study) -> Html:
    """What was chosen on validation data, and what else was tried."""
    chosen: list[Row] = []
    tried: list[Row] = []
    starts: list[int] = []
    for task, methods in study.tuning.items():
        starts += [len(chosen)] if methods else []
        for method, trials in methods.items():
            name = Cell(method, note=task_title(study, task))
            best = next(trial for trial in trials if trial.chosen)
            chosen.append(
                [
                    name,
                    _score(best.score),
                    _score(trials[0].score),
                    Cell(str(len(trials)), len(trials)),
                    Cell("the defaults" if best is trials[0] else _setting(best), mark="note"),
                ]
            )
            tried += [
                [name, _score(t.score), "chosen" * t.chosen, Cell(_setting(t), mark="note")]
                for t in trials
            ]
    if not chosen:
        return section("Settings", "Nothing was tuned: every method ran with its defaults.")
    caption = (
        f"Chosen by the {METRICS.get(study.select, study.select)} of the validation split, with a "
        "seed that no final run has: the defaults first, then random draws. Of each method the "
        "best of its trials is the highest of as many looks, and flattered by that."
    )
    heads = ["method", "best, %", "defaults, %", "trials", "setting"]
    return section(
        "Settings",
        caption,
        table(heads, chosen, starts=starts[1:]),
        details("Everything that was tried", table(["method", "val, %", "", "setting"], tried)),
    )


def making_section(study: Study, command: str) -> Html:
    """Command, versions, machine."""
    runs = [r for c in study.comparisons.values() for runs in c.runs.values() for r in runs]
    made = {
        key: ", ".join(dict.fromkeys(str(run["provenance"].get(key, NONE)) for run in runs))
        for key in dict.fromkeys(key for run in runs for key in run["provenance"])
    }
    splits = ", ".join(dict.fromkeys(c.split for c in study.comparisons.values()))
    caption = "Every run stands in results.csv; each task has a page of its own, report.html."
    return section(
        "How it was made", caption, command_block(command), facts({"scores of": splits} | made)
    )


def _cost_table(study: Study, key: str, column: str, absolute: Callable[[float], str]) -> Html:
    """A cost of the baseline on each task, and what the others take over it."""
    ratios = relative_costs(study, key)
    first = study.methods[0]
    tasks = [task for task in study.comparisons if any(task in r for r in ratios.values())]
    if not tasks:
        return Html("")
    rows: list[Row] = []
    for name, by_task in ratios.items():
        cells: list[str | Cell] = [name]
        for task in tasks:
            ratio = by_task.get(task, math.nan)
            taken = median([r[key] for r in study.comparisons[task].runs[first] if r.get(key)])
            cells.append(Cell(absolute(taken) if name == first else _times(ratio), ratio))
        overall = geometric_mean(by_task.values()) if by_task else math.nan
        cells.append(Cell(_times(overall), overall))
        rows.append(cells)
    heads = [column, *(task_title(study, task) for task in tasks), "all tasks"]
    return table(heads, rows)


def _times(ratio: float) -> str:
    return NONE if math.isnan(ratio) else f"{ratio:.2f} ×"


def _tried(study: Study) -> str:
    """How many settings each method could try, and which had fewer."""
    tried = {
        name: max([1, *(len(methods.get(name, ())) for methods in study.tuning.values())])
        for name in study.methods
    }
    most = max(tried.values())
    fewer = [name for name, number_of in tried.items() if number_of < most]
    if most == 1:
        return "None was tuned."
    if not fewer:
        return f"Each tried {most} settings on a task."
    return f"Each tried {most} settings on a task; fewer, having no more: {', '.join(fewer)}."


def _each(threads: set[int | None]) -> str:
    """On how many threads every run was, if that is known and the same for all."""
    (number_of,) = threads if len(threads) == 1 else (None,)
    return f", each on {count(number_of, 'thread')}" if number_of else ""


def _hours(folder: Path, comparison: Comparison, tried: dict[str, list[Trial]]) -> float:
    """Hours of steps and of waiting for data, of the runs whose folders are there."""
    hours = 0.0
    for method in comparison.runs:
        names = [f"seed{seed}" for seed in comparison.seeds]
        names += [f"trial{trial}" for trial in range(len(tried.get(method, ())))]
        for run in (folder / method / name for name in names):
            if (run / RESULT).is_file():
                hours += _run_hours(run, read_result(run))
    return hours


def _run_hours(folder: Path, result: dict[str, Any]) -> float:
    """Of one run, by the steps that it logged; 0 where its log is gone."""
    steps = 0
    for file in folder.glob("logs/version_*/metrics.csv"):
        with file.open(encoding="utf-8", newline="") as lines:
            steps = max([steps, *(int(row["step"]) + 1 for row in csv.DictReader(lines))])
    batches = steps * result["config"]["optimizer"]["accumulate"]
    # Nothing was measured where a run went on when only its scores were missing.
    seconds, waiting = result["step_seconds"] or 0.0, result["data_wait_share"] or 0.0
    return float(batches * seconds / (1 - waiting) / 3600)


def _score(value: float) -> Cell:
    return Cell("failed" if math.isnan(value) else number(value), value)


def _setting(trial: Trial) -> str:
    """What was set, without the name of the method."""
    name, _, changes = trial.changes.partition(":")
    return changes or name
