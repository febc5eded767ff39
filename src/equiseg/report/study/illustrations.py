"""The figures of a study with their captions and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from equiseg.records.history import Histories, history_rows, mean_curve
from equiseg.report.study.convergence import convergence_figure
from equiseg.report.study.figures import Changes, cost_figure, decision_figure
from equiseg.report.study.rank_figure import rank_figure
from equiseg.report.study.wording import score_title, task_title
from equiseg.report.style import Illustration
from equiseg.report.wording import count, number
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import COSTS, method_scores, overall_difference, relative_costs
from equiseg.study.ranking import friedman, mean_ranks
from equiseg.study.record import Study

_DECISION = ("tail", "head", "pixel_accuracy")


def decision_illustration(study: Study) -> Illustration | None:
    """The change of the tail that each method makes, against the change of the rest."""
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
        "Tail gains and their cost elsewhere",
        decision_figure(overall, tasks, study.methods[0]),
        _DECIDE.format(study.methods[0]) + (_ACROSS if len(tasks) > 1 else _WITHIN),
        rows,
        f"Change of the tail against change of the head and of the pixel accuracy for "
        f"{', '.join(study.methods[1:])}. The tables of tail and head have the numbers.",
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


def rank_illustration(study: Study) -> Illustration | None:
    """Critical-difference diagrams; None where there is nothing to rank, or no second task."""
    scores: dict[str, Mapping[str, Sequence[float]]] = {}
    tests, rows = [], []
    for metric in ("miou", "tail"):
        by_task = method_scores(study, metric)
        if len(by_task) < 2 or len(study.methods) < 2:
            continue
        scores[score_title(metric)] = by_task
        statistic, p = friedman([*by_task.values()])
        tests.append(
            f"{score_title(metric)}: F = {number(statistic, 1, 2)}, "
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
        "Methods on an axis of mean ranks; bars join methods that do not differ significantly. "
        f"{'; '.join(tests)}.",
    )


def cost_illustration(study: Study) -> Illustration | None:
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
        "Computing cost",
        cost_figure(tail, values, study.methods[0]),
        _COSTLY.format(study.methods[0]),
        rows,
        f"Change of the tail against time and memory relative to {study.methods[0]}.",
    )


def convergence_illustration(
    study: Study, histories: Mapping[str, Histories]
) -> Illustration | None:
    """Validation curves of the baseline: whether it had time to learn."""
    first = study.methods[0]
    named = {
        task_title(study, task): histories[task].get(first, {})
        for task in study.comparisons
        if task in histories
    }
    figure = convergence_figure(named)
    if figure is None:
        return None
    rises = []
    for task, runs in named.items():
        curve = mean_curve(
            [history["val/miou"] for history in runs.values() if "val/miou" in history]
        )
        if len(curve) > 1:
            (before, old), (_, new) = list(curve.items())[-2:]
            rises.append(f"{task} {number(new - old, sign=True)} after epoch {before}")
    last = f" Change of the mean mIoU at the last validation: {', '.join(rises)} points."
    return Illustration(
        "convergence",
        f"Convergence of {first}",
        figure,
        f"{_CURVES}{last if rises else ''}",
        history_rows(named, ("val/",)),
        f"Validation mIoU and tail of {first} over the epochs of each task.",
    )


_DECIDE = (
    "Up is better on the tail, right on the head or on all pixels; the shaded corner is better on "
    "both. Each mark is a method, {} lies where the lines meet; crosses are 95 % intervals of the "
    "paired difference, and an interval that meets the border extends beyond it. "
)
_ACROSS = (
    "Above, the mean of the tasks' differences, with intervals over tasks and seeds (bootstrap); "
    "below, each task with intervals over its seeds alone (Student's t)."
)
_WITHIN = "The intervals are over seeds alone (Student's t); other data may give other results."
_RANKED = (
    "Rank 1 is the best method of a task. Bars join methods whose mean ranks differ by less than "
    "the critical difference (Nemenyi's test at 5 %, Demšar 2006): they do not differ "
    "significantly, which does not mean that they are equal. Whether the methods differ at all "
    "(Friedman's test in the form of Iman and Davenport):"
)
_COSTLY = (
    "Marks are geometric means over the tasks of the cost of a method relative to {}, horizontal "
    "lines run from the task with the least to the task with the most; vertical ones are 95 % "
    "intervals. Up and left is better. Parallel runs slow each other down: ignore differences of a "
    "few percent."
)
_CURVES = (
    "Thin lines are seeds, thick ones their mean. Every curve flattens as the learning rate falls "
    "to zero: this does not show that more epochs would bring no more."
)
