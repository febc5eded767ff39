"""The scores of the methods of a study: a table for each score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean

from equiseg.metrics.catalogue import less_is_better
from equiseg.report.html import Cell, Html, Mark, Row, details, section, table
from equiseg.report.study.wording import ORDER, score_title, task_title
from equiseg.report.wording import NONE, count, interval, number
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import method_scores, overall_difference
from equiseg.study.ranking import mean_ranks
from equiseg.study.record import Study

_OPEN = ("tail", "head", "miou", "pixel_accuracy", "ece")  # the others are folded away


def score_sections(study: Study) -> list[Html]:
    """For each score a table of methods and tasks, the less important ones folded away."""
    known = {m for comparison in study.comparisons.values() for m in comparison.metrics}
    shown = [metric for metric in ORDER if metric in known]
    sections = [
        section(score_title(metric), _reading(study, metric), _score_table(study, metric))
        for metric in shown
        if metric in _OPEN
    ]
    folded = [
        details(score_title(metric), _score_table(study, metric))
        for metric in shown
        if metric not in _OPEN
    ]
    if len(study.comparisons) > 1 and study.methods[1:]:
        kept = _kept_table(study, [metric for metric in shown if metric in _OPEN])
        folded.append(details("These tasks alone: intervals over seeds", kept))
    return sections + (
        [section("More scores", "Same columns as above.", *folded)] if folded else []
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
    """Differences over exactly these tasks: intervals over other seeds alone."""
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
    heads = [head for metric in metrics for head in (score_title(metric), "95 % interval")]
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
    if metric != next(m for m in ORDER if any(m in c.metrics for c in study.comparisons.values())):
        return text + "Same columns as in the first table."
    text += f"Differences from {first} are in points, paired by seed, ± half their 95 % interval"
    text += " (Student's t over seeds); coloured where it excludes 0. "
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
            f"Of {intervals} intervals of tasks about {round(0.05 * intervals)} would exclude 0 "
            "if there were no difference at all."
        )
    return text
