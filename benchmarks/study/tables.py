"""The tables and the figure of docs/explanation/choosing.md, from the rows of the study.

    python -m benchmarks.study.tables

Reads study.csv in benchmarks/results, a copy of the results.csv of `equiseg compare`, and the files
of benchmarks.study.posthoc and benchmarks.study.cost next to it. Writes
docs/images/study_decision.png.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import geometric_mean, mean

from benchmarks.docs.tables import markdown
from benchmarks.measure import RESULTS
from equiseg.report.study.figures import decision_figure
from equiseg.study.interval import Interval
from equiseg.study.ranking import mean_ranks, paired_bootstrap

IMAGE = RESULTS.parents[1] / "docs/images/study_decision.png"
SCORES = ("tail", "common", "head", "miou", "pixel_accuracy", "ece")
BASELINE = "cross_entropy"
POSTHOC = "posthoc"
Scores = dict[str, dict[str, dict[int, dict[str, float]]]]  # task, method, seed, score


def read_rows() -> Scores:
    scores: Scores = defaultdict(lambda: defaultdict(dict))
    with (RESULTS / "study.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = {name: float(row[name]) if row[name] else math.nan for name in SCORES}
            scores[row["task"]][row["method"]][int(row["seed"])] = values
    if (posthoc := RESULTS / "study_posthoc.json").is_file():
        for row in json.loads(posthoc.read_text(encoding="utf-8"))["rows"]:
            scores[row["task"]][POSTHOC][row["seed"]] = row
    return scores


def read_costs(tasks: Iterable[str]) -> dict[str, float]:
    """Time of a step of each method over the baseline: geometric mean over the tasks."""
    measured = json.loads((RESULTS / "study_cost.json").read_text(encoding="utf-8"))["rows"]
    rows = [row for row in measured if row["task"] in tasks]
    others = [name for name in rows[0] if isinstance(rows[0][name], float) and ":" not in name]
    return {BASELINE: 1.0} | {m: geometric_mean(row[m] for row in rows) for m in others}


def gaps(task: dict[str, dict[int, dict[str, float]]], method: str, score: str) -> list[float]:
    """Differences from the baseline, seed by seed."""
    base = task[BASELINE]
    return [runs[score] - base[seed][score] for seed, runs in task[method].items()]


def shown_everywhere(scores: Scores) -> list[str]:
    """The methods with runs on all tasks, the baseline first."""
    tasks = scores.values()
    return [m for m in next(iter(tasks)) if all(m in task for task in tasks)]


def over_tasks(scores: Scores, methods: list[str]) -> str:
    """One row per method: mean ranks, mean changes over all tasks, time of a step."""
    ranks = {}
    for score in ("tail", "miou"):
        means = [
            [mean(run[score] for run in task[m].values()) for m in methods]
            for task in scores.values()
        ]
        ranks[score] = mean_ranks(means)
    costs = read_costs(scores)
    rows = []
    for m, method in enumerate(methods):
        cells = [f"{ranks['tail'][m]:.1f}", f"{ranks['miou'][m]:.1f}"]
        for score in ("tail", "head", "miou", "pixel_accuracy", "ece"):
            if method == BASELINE:
                cells.append("")
                continue
            change = paired_bootstrap([gaps(task, method, score) for task in scores.values()])
            cells.append(interval(change))
        cells.append(f"{costs[method]:.2f}" if method in costs else "")
        rows.append((f"`{method}`", cells))
    heads = ["", "rank tail", "rank mIoU", "tail", "head", "mIoU", "pixels", "ECE", "time"]
    return markdown(heads, rows)


def by_task(scores: Scores, score: str) -> str:
    """One row per method: its score on each task, and the paired difference."""
    rows = []
    for method in dict.fromkeys(method for task in scores.values() for method in task):
        cells = []
        for task in scores.values():
            if method not in task:
                cells.append("")
                continue
            values = [run[score] for run in task[method].values()]
            gap = Interval.paired(values, [task[BASELINE][seed][score] for seed in task[method]])
            text = f"{100 * mean(values):.1f}"
            if method != BASELINE:
                text += f" ({100 * gap.mean:+.1f} ± {100 * gap.half_width:.1f})"
            cells.append(f"**{text}**" if method != BASELINE and gap.excludes_zero else text)
        rows.append((f"`{method}`", cells))
    seeds = [f"{task}, {len(methods[BASELINE])} seeds" for task, methods in scores.items()]
    return markdown(["", *seeds], rows)


def interval(change: Interval) -> str:
    text = f"{100 * change.mean:+.1f} ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
    return f"**{text}**" if change.excludes_zero else text


def draw(scores: Scores, methods: list[str]) -> None:
    """Plot the change of the tail against the change of the other scores, overall and by task."""
    overall, tasks = {}, {task: {} for task in scores}
    for score in ("tail", "head", "pixel_accuracy"):
        found = {m: [gaps(task, m, score) for task in scores.values()] for m in methods[1:]}
        overall[score] = {m: paired_bootstrap(lists) for m, lists in found.items()}
        for t, task in enumerate(tasks):
            of_task = {m: Interval.paired(of[t], [0] * len(of[t])) for m, of in found.items()}
            tasks[task][score] = of_task
    decision_figure(overall, tasks, methods[0]).savefig(IMAGE, dpi=160)


if __name__ == "__main__":
    found = read_rows()
    names = shown_everywhere(found)
    print(over_tasks(found, names) + "\n")
    for name in ("tail", "head", "miou", "common", "pixel_accuracy", "ece"):
        print(f"## {name}\n\n{by_task(found, name)}\n")
    draw(found, names)
