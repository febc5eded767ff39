"""The tables of a study's page."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import geometric_mean, mean, median
from typing import Any

from equiseg.report.html import (
    Cell,
    Html,
    Mark,
    Row,
    command_block,
    details,
    facts,
    section,
    table,
)
from equiseg.report.wording import NONE, count, interval, number
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import (
    method_scores,
    overall_difference,
    relative_costs,
)
from equiseg.study.plan import Trial
from equiseg.study.ranking import mean_ranks
from equiseg.study.run import Study
from equiseg.training.result import RESULT, less_is_better, read_result

METRICS = {
    "tail": "IoU of the tail",
    "head": "IoU of the head",
    "miou": "mIoU",
    "pixel_accuracy": "Accuracy of all pixels",
    "ece": "Calibration error",
    "common": "IoU of the common classes",
    "foreground": "mIoU without background",
    "mean_accuracy": "Mean accuracy",
}
_OPEN = ("tail", "head", "miou", "pixel_accuracy", "ece")  # the others are folded away


def task_title(study: Study, task: str) -> str:
    """The name of a task; of the only one, which may have none, that of its data."""
    return task if task != "." else _card(study.comparisons[task])


def score_sections(study: Study) -> list[Html]:
    """For each score a table of methods and tasks, the less important ones folded away."""
    known = {m for comparison in study.comparisons.values() for m in comparison.metrics}
    shown = [metric for metric in METRICS if metric in known]
    sections = [
        section(METRICS[metric], _reading(study, metric), _score_table(study, metric))
        for metric in shown
        if metric in _OPEN
    ]
    folded = [
        details(METRICS[metric], _score_table(study, metric))
        for metric in shown
        if metric not in _OPEN
    ]
    if len(study.comparisons) > 1 and study.methods[1:]:
        kept = _kept_table(study, [metric for metric in shown if metric in _OPEN])
        folded.append(details("All tasks, as they are: intervals over seeds alone", kept))
    return sections + ([section("More numbers", "Read as those above.", *folded)] if folded else [])


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
        title, card = task_title(study, task), _card(comparison)
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


def _score_table(study: Study, metric: str) -> Html:
    first, *others = study.methods
    tasks = {t: c for t, c in study.comparisons.items() if metric in c.metrics}
    less = less_is_better(metric)
    scores = method_scores(study, metric)
    ranked, overall = (len(some) > 1 and bool(others) for some in (scores, tasks))
    sign = -1 if less else 1
    ranks = mean_ranks([[sign * s for s in row] for row in scores.values()]) if ranked else []
    rows: list[Row] = []
    for m, name in enumerate(study.methods):
        row: list[str | Cell] = [name]
        if ranked:
            row.append(Cell(number(ranks[m], 1, 1), ranks[m]))
        if overall:
            gap = overall_difference(study, name, metric)
            row += [
                _gap(gap, sign, name == first, half=False),
                Cell(NONE if name == first else interval(gap) or NONE, gap.low, mark="quiet"),
            ]
        for comparison in tasks.values():
            known = [v for v in comparison.values(name, metric) if not math.isnan(v)]
            value = mean(known) if known else math.nan
            row.append(Cell(number(value), value))
            if others:
                gap = comparison.difference(name, metric)
                row.append(_gap(gap, sign, name == first))
        rows.append(row)
    heads: list[str | Cell] = ["method", *(["mean rank"] if ranked else [])]
    heads += ["all tasks", "95 % interval"] if overall else []
    for task in tasks:
        heads += [task_title(study, task), *(["difference"] if others else [])]
    return table(heads, rows, dense=len(heads) > 6)


def _kept_table(study: Study, metrics: Sequence[str]) -> Html:
    """Differences over the tasks as they are: intervals over other seeds alone."""
    rows: list[Row] = []
    for name in study.methods[1:]:
        row: list[str | Cell] = [name]
        for metric in metrics:
            gap = overall_difference(study, name, metric, resample_tasks=False)
            row += [
                _gap(gap, -1 if less_is_better(metric) else 1, False, half=False),
                Cell(interval(gap) or NONE, gap.low, mark="quiet"),
            ]
        rows.append(row)
    heads = [head for metric in metrics for head in (METRICS[metric], "95 % interval")]
    return table(["method", *heads], rows, dense=True)


def _gap(gap: Interval, sign: int, is_first: bool, half: bool = True) -> Cell:
    """A difference, with half its interval where that is asked for and known."""
    if is_first or math.isnan(gap.mean):
        return Cell(NONE, 0.0 if is_first else math.nan, mark="quiet")
    text = number(gap.mean, sign=True)
    if half and not math.isnan(gap.low):
        text += f" ± {number(gap.half_width)}"
    mark: Mark = ""
    if gap.excludes_zero:
        mark = "gain" if sign * gap.mean > 0 else "loss"
    return Cell(text, gap.mean, mark=mark)


def _reading(study: Study, metric: str) -> str:
    first, *others = study.methods
    text = "Percent, mean over seeds" + ("; less is better. " if less_is_better(metric) else ". ")
    if not others:
        return text
    if metric != next(
        m for m in METRICS if any(m in c.metrics for c in study.comparisons.values())
    ):
        return text + "Read as the first."
    text += f"Differences from {first} are in points, paired by seed, ± half their 95 % interval"
    text += " (Student's t over seeds); coloured where it leaves out 0. "
    tasks = method_scores(study, metric)
    if len(study.comparisons) > 1:
        text += (
            "Over all tasks: the mean of their differences, its interval from a bootstrap of tasks "
            "and of seeds within them. "
        )
    elif len(study.comparisons) == 1:
        text += "With one task there are no ranks. "
    if len(study.comparisons) > len(tasks) > 1:
        text += f"Ranks are over the {count(len(tasks), 'task')} where all methods have a score. "
    intervals = len(others) * len(study.comparisons)
    if intervals >= 20:
        text += (
            f"Of {intervals} intervals of tasks about {round(0.05 * intervals)} would leave out 0 "
            "if there were no difference at all."
        )
    return text


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


def _card(comparison: Comparison) -> str:
    return Path(comparison.runs[comparison.baseline][0]["config"]["data"]["card"]).stem
