"""Cost, runs, settings and provenance of a study."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import geometric_mean, median

from equiseg.report.html import Cell, Html, Row, command_block, details, facts, section, table
from equiseg.report.study.wording import score_title, task_title
from equiseg.report.wording import NONE, count, number
from equiseg.study.over_tasks import relative_costs
from equiseg.study.record import Study, Trial


def cost_section(study: Study) -> Html:
    """Seconds a step and memory, relative to the baseline."""
    tables = [
        _cost_table(study, "step_seconds", "a step", lambda s: f"{number(s, 1000, 0)} ms"),
        _cost_table(study, "peak_memory_bytes", "memory", lambda b: f"{number(b, 2**-20, 0)} MiB"),
    ]
    runs = [r for c in study.comparisons.values() for runs in c.runs.values() for r in runs]
    of = {run["memory_of"] for run in runs if run.get("memory_of")}
    meaning = {
        "fit": "the peak of training beyond the memory of the process when it began",
        "process": "the peak of the whole process, and maybe of the process that started it",
        "cuda": "the peak that was allocated on the GPU",
    }
    memory = " and ".join(meaning.get(one, one) for one in sorted(of))
    caption = (
        f"Medians over seeds; {study.methods[0]} in absolute numbers, the others relative to it. "
        "The last column is the geometric mean over the tasks. Parallel runs slow each other down: "
        "ignore differences of a few percent."
    )
    return section("Cost", caption + (f" Memory is {memory}." if memory else ""), *tables)


def budget_section(study: Study) -> Html:
    """The tasks: data, network, number of runs, hours of training."""
    rows: list[Row] = []
    total, threads = 0.0, set()
    for task, comparison in study.comparisons.items():
        config = comparison.runs[comparison.baseline][0]["config"]
        tried = study.tuning.get(task, {})
        hours = study.hours.get(task, 0.0)
        total += hours
        threads.add(config.get("threads"))
        trials = sum(map(len, tried.values()))
        title, data = task_title(study, task), comparison.title
        rows.append(
            [
                Cell(title, note=data if data != title else ""),
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
            f" Training took {number(total, 1, 1)} hours in total{_each(threads)}: steps and "
            "waiting for data of trials and final runs, without validation."
        )
    heads = ["task", "classes", "network", "epochs", "seeds", "trials", "final runs", "training"]
    return section("What was run", caption, table(heads, rows))


def settings_section(study: Study) -> Html:
    """The settings that were chosen on validation data, and all that were tried."""
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
        return section("Settings", "No method was tuned: each ran with its defaults.")
    caption = (
        f"Chosen by {score_title(study.select)} on the validation split, with a seed that no final "
        "run has: the defaults first, then random draws. The best trial was chosen after seeing "
        "the results, so its score is optimistic."
    )
    heads = ["method", "best, %", "defaults, %", "trials", "setting"]
    return section(
        "Settings",
        caption,
        table(heads, chosen, starts=starts[1:]),
        details("All trials", table(["method", "val, %", "", "setting"], tried)),
    )


def making_section(study: Study) -> Html:
    """Command, versions, machine."""
    runs = [r for c in study.comparisons.values() for runs in c.runs.values() for r in runs]
    made = {
        key: ", ".join(dict.fromkeys(str(run["provenance"].get(key, NONE)) for run in runs))
        for key in dict.fromkeys(key for run in runs for key in run["provenance"])
    }
    splits = ", ".join(dict.fromkeys(c.split for c in study.comparisons.values()))
    caption = "results.csv has a row for every run; each task has its own page, report.html."
    return section(
        "How it was made",
        caption,
        command_block(study.command),
        facts({"scores of": splits} | made),
    )


def _cost_table(study: Study, key: str, column: str, absolute: Callable[[float], str]) -> Html:
    """A cost of the baseline on each task, and of the others relative to it."""
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
        return "No method was tuned."
    if not fewer:
        return f"Each tried {most} settings on a task."
    return f"Each tried {most} settings on a task; these have fewer to try: {', '.join(fewer)}."


def _each(threads: set[int | None]) -> str:
    """The threads of a run, if they are known and the same for all."""
    (number_of,) = threads if len(threads) == 1 else (None,)
    return f", each run on {count(number_of, 'thread')}" if number_of else ""


def _score(value: float) -> Cell:
    return Cell("failed" if math.isnan(value) else number(value), value)


def _setting(trial: Trial) -> str:
    """The settings, without the name of the method."""
    name, _, changes = trial.changes.partition(":")
    return changes or name
