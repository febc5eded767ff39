"""The report of a study: its rows, its figures, and the page that holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from equiseg.records.history import history_rows, mean_curve, read_history
from equiseg.report.html import Html, document, figure_section
from equiseg.report.study.budget import (
    budget_section,
    cost_section,
    making_section,
    settings_section,
)
from equiseg.report.study.figures import (
    Changes,
    convergence_figure,
    cost_figure,
    decision_figure,
    rank_figure,
)
from equiseg.report.study.scores import score_sections
from equiseg.report.study.wording import METRICS, caution_of, ledes, task_title, title
from equiseg.report.style import Illustration, csv_text, save_figure
from equiseg.report.wording import count, number
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import (
    COSTS,
    method_scores,
    overall_difference,
    relative_costs,
    study_rows,
)
from equiseg.study.ranking import friedman, mean_ranks
from equiseg.study.run_study import Study

PAGE = "report.html"
UNNAMED_PAGE = "study.html"  # a task without a name has its own report.html in the same folder
RESULTS = "results.csv"
_DECISION = ("tail", "head", "pixel_accuracy")


def save_rows(out: Path, study: Study) -> Path:
    """Write ``out/results.csv``, a row for every run that is compared."""
    path = out / RESULTS
    path.write_bytes(csv_text(study_rows(study)).encode())
    return path


def report_study(out: Path, study: Study, command: str) -> Path:
    """Write the page of a study and its figures.

    Writes ``out/report.html`` (``study.html`` where the only task has no name, and so its page
    there) and ``out/figures/*``: every figure as PNG and SVG, its numbers as CSV. Learning curves
    and hours are read from the folders of the runs, ``out/<task>/<method>/seed<seed>``; the page
    goes without where they are gone.

    Args:
        out: Folder of the study.
        study: Its results.
        command: The command that made it.

    Returns:
        The page.
    """
    results = [_decision(study), _ranks(study), _cost(study)]
    curves = _convergence(out, study)
    for figure in (*results, curves):
        if figure is not None:
            save_figure(figure, out / "figures")
    tasks, methods = len(study.comparisons), len(study.methods)
    runs = sum(len(comparison.seeds) for comparison in study.comparisons.values()) * methods
    page = document(
        title(study),
        [
            *_shown(results),
            *score_sections(study),
            cost_section(study),
            budget_section(out, study),
            *_shown([curves]),
            settings_section(study),
            making_section(study, command),
        ],
        eyebrow=f"{count(tasks, 'task')}, {count(methods, 'method')}, {runs} runs compared",
        ledes=ledes(study),
        caution=caution_of(study),
    )
    path = out / (UNNAMED_PAGE if "." in study.comparisons else PAGE)
    path.write_text(page, encoding="utf-8")
    return path


def _shown(figures: Sequence[Illustration | None]) -> list[Html]:
    return [figure_section(figure) for figure in figures if figure is not None]


def _decision(study: Study) -> Illustration | None:
    """What each method does to the tail, against what it does to the rest."""
    overall = {
        metric: {name: overall_difference(study, name, metric) for name in study.methods[1:]}
        for metric in _DECISION
    }
    if all(math.isnan(gap.mean) for gap in overall["tail"].values()):
        return None
    tasks = {task_title(study, task): _changes(c) for task, c in study.comparisons.items()}
    rows = [
        {
            "task": task,
            "method": name,
            **{
                f"{metric} {end}": getattr(changes[metric][name], key)
                for metric in _DECISION
                for end, key in (("change", "mean"), ("95 % from", "low"), ("95 % to", "high"))
            },
        }
        for task, changes in ({"all": overall} | tasks if len(tasks) > 1 else tasks).items()
        for name in study.methods[1:]
    ]
    return Illustration(
        "decision",
        "What is won on the tail, and what it costs elsewhere",
        decision_figure(overall, tasks, study.methods[0]),
        _DECIDE.format(study.methods[0]) + (_ACROSS if len(tasks) > 1 else _WITHIN),
        rows,
        f"Change of the tail against change of the head and of the pixel accuracy for "
        f"{', '.join(study.methods[1:])}. The tables of the tail and the head hold the numbers.",
    )


def _changes(comparison: Comparison) -> Changes:
    nothing = Interval(math.nan)
    return {
        metric: {
            name: comparison.difference(name, metric) if metric in comparison.metrics else nothing
            for name in list(comparison.runs)[1:]
        }
        for metric in _DECISION
    }


def _ranks(study: Study) -> Illustration | None:
    """Critical-difference diagrams; None where there is nothing to rank, or no second task."""
    scores: dict[str, Mapping[str, Sequence[float]]] = {}
    tests, rows = [], []
    for metric in ("miou", "tail"):
        by_task = method_scores(study, metric)
        if len(by_task) < 2 or len(study.methods) < 2:
            continue
        scores[METRICS[metric]] = by_task
        statistic, p = friedman([*by_task.values()])
        tests.append(
            f"{METRICS[metric]}: F = {number(statistic, 1, 2)}, "
            f"p = {number(p, 1, 3) if p >= 0.001 else 'less than 0.001'}, "
            f"{count(len(by_task), 'task')}"
        )
        ranks = mean_ranks([*by_task.values()])
        rows += [
            {"score": metric, "method": name, "mean rank": rank}
            | {task: values[m] for task, values in by_task.items()}
            for m, (name, rank) in enumerate(zip(study.methods, ranks, strict=True))
        ]
    if not scores:
        return None
    return Illustration(
        "ranks",
        "Mean ranks over the tasks",
        rank_figure(scores, study.methods),
        f"{_RANKED} {'; '.join(tests)}.",
        rows,
        f"Methods on an axis of mean ranks, bars joining those not told apart. {'; '.join(tests)}.",
    )


def _cost(study: Study) -> Illustration | None:
    """Gain on the tail against time and memory."""
    others = study.methods[1:]
    tail = {name: overall_difference(study, name, "tail") for name in others}
    if all(math.isnan(gap.mean) for gap in tail.values()):
        return None
    costs = {}
    for key in COSTS:
        ratios = relative_costs(study, key)
        if any(ratios[name] for name in others):
            costs[key] = {name: ratios[name] for name in others}
    if not costs:
        return None
    values = {key: {n: [*r.values()] for n, r in ratios.items()} for key, ratios in costs.items()}
    rows = [
        {"method": name, "tail change": tail[name].mean}
        | {f"{key} {task}": ratio for key in costs for task, ratio in costs[key][name].items()}
        for name in others
    ]
    return Illustration(
        "cost",
        "What it costs to compute",
        cost_figure(tail, values, study.methods[0]),
        _COSTLY.format(study.methods[0]),
        rows,
        f"Change of the tail against time and memory relative to {study.methods[0]}.",
    )


def _convergence(out: Path, study: Study) -> Illustration | None:
    """Validation curves of the baseline: whether it had time to learn."""
    first = study.methods[0]
    folders = {
        task: [out / task / first / f"seed{seed}" for seed in comparison.seeds]
        for task, comparison in study.comparisons.items()
    }
    named = {task_title(study, task): paths for task, paths in folders.items()}
    figure = convergence_figure(named)
    if figure is None:
        return None
    rises = []
    for task, paths in named.items():
        curve = mean_curve([h["val/miou"] for h in map(read_history, paths) if "val/miou" in h])
        if len(curve) > 1:
            (before, old), (_, new) = list(curve.items())[-2:]
            rises.append(f"{task} {number(new - old, sign=True)} after epoch {before}")
    last = f" Change of the mean mIoU at the last validation: {', '.join(rises)} points."
    return Illustration(
        "convergence",
        f"How far {first} had come",
        figure,
        f"{_CURVES}{last if rises else ''}",
        history_rows(named, ("val/",)),
        f"Validation mIoU and tail of {first} over the epochs of each task.",
    )


_DECIDE = (
    "Up is better on the tail, right on the head or on all pixels; the shaded corner is better on "
    "both. Every mark is a method, {} where the lines meet; crosses are 95 % intervals of the "
    "paired difference, and an interval that meets the border goes on beyond it. "
)
_ACROSS = (
    "Above, the mean of the tasks' differences, with intervals over tasks and seeds (bootstrap); "
    "below, each task with intervals over its seeds alone (Student's t)."
)
_WITHIN = "The intervals are over seeds alone (Student's t): they say nothing of other data."
_RANKED = (
    "Rank 1 is the best method of a task. Bars join methods whose mean ranks differ by less than "
    "the critical difference (Nemenyi's test at 5 %, Demšar 2006): the tasks do not tell them "
    "apart, which is not to say that they are alike. Whether the methods differ at all (Friedman's "
    "test, as Iman and Davenport have it):"
)
_COSTLY = (
    "Marks are geometric means over the tasks of what a method takes over what {} takes, "
    "horizontal lines go from the task with the least to the one with the most; vertical ones are "
    "95 % intervals. Up and left is better. Runs beside each other slow each other down: a few "
    "percent are no difference."
)
_CURVES = (
    "Thin lines are seeds, thick ones their mean. Where the learning rate falls to nothing every "
    "curve flattens in the end: that more epochs would bring no more is not shown by this."
)
