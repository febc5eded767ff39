"""Tables the terminal shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from rich.table import Table

from equiseg.metrics.catalogue import MEASURES, SCORES, SUMMARY
from equiseg.runs.terminal import as_is
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval

GROUP_STYLE = {"head": "blue", "common": "yellow", "tail": "red"}


def score_table(
    scores: dict[str, Any],
    classes: list[str],
    groups: dict[str, list[int]],
    split: str,
    unit: str = "pixel",
) -> Table:
    """IoU and accuracy of every class, most frequent first, and their means."""
    table = Table(title=f"{split}: IoU and accuracy in %, most frequent class first")
    table.add_column("class")
    for column in ("group", "IoU", "accuracy"):
        table.add_column(column, justify="right")
    for group, ids in groups.items():
        for k in ids:
            values = percent(scores["iou"][k]), percent(scores["accuracy"][k])
            table.add_row(as_is(classes[k]), group, *values, style=GROUP_STYLE[group])
    table.add_section()
    for group in groups:
        label = f"mean of {scores[f'num_{group}']}"
        values = percent(scores[group]), percent(scores[f"{group}_accuracy"])
        table.add_row(label, group, *values, style=GROUP_STYLE[group])
    means = percent(scores["miou"]), percent(scores["mean_accuracy"])
    rule = f" {scores['means_over']}" if "means_over" in scores else ""
    table.add_row(f"mean of {scores['num_iou']}{rule}", "all", *means, style="bold")
    if "foreground" in scores:
        label = SCORES["foreground"].label
        table.add_row(label, "", percent(scores["foreground"]), "")
    label = SCORES["pixel_accuracy"].label.format(unit=unit)
    table.add_row(label, "", "", percent(scores["pixel_accuracy"]))
    if "ece" in scores:  # older results lack it
        table.add_row(SCORES["ece"].label, "", "", percent(scores["ece"]))
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Means over seeds, with paired differences from the baseline."""
    seeds = len(comparison.seeds)
    table = Table(
        title=f"{comparison.split}, {seeds} seed{'s' * (seeds > 1)}: mean ± standard deviation "
        "[dim](paired difference from the first, 95 % interval)[/dim]"
    )
    table.add_column("")
    for name in comparison.runs:
        table.add_column(as_is(name), justify="right", overflow="fold")
    for metric in comparison.metrics:
        row = metric_cells(comparison, metric)
        name = SCORES[metric].label.format(unit=comparison.unit)
        name += " (less is better)" * SCORES[metric].less_is_better
        table.add_row(name, *row, style=GROUP_STYLE.get(metric))
    table.add_section()
    for group, ids in comparison.groups.items():
        for k in ids:
            row = class_cells(comparison, k)
            table.add_row(as_is(comparison.classes[k]), *row, style=GROUP_STYLE[group])
    table.add_section()
    for measure in SUMMARY:
        row = [spread(comparison.collapse_values(name, measure), 1) for name in comparison.runs]
        table.add_row(MEASURES[measure].label, *row, style="dim")
    return table


def metric_cells(comparison: Comparison, metric: str) -> list[str]:
    """A score of each variant, against the baseline."""
    return [
        cell(
            comparison.values(name, metric),
            None if name == comparison.baseline else comparison.difference(name, metric),
        )
        for name in comparison.runs
    ]


def class_cells(comparison: Comparison, class_id: int) -> list[str]:
    """The IoU of one class of each variant, against the baseline."""
    return [
        cell(
            comparison.class_values(name, class_id),
            None if name == comparison.baseline else comparison.class_difference(name, class_id),
        )
        for name in comparison.runs
    ]


def percent(value: float) -> str:
    """A fraction in percent, a dash where there is none."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def spread(values: Sequence[float], scale: float = 100) -> str:
    """Mean and standard deviation."""
    known = [scale * v for v in values if not math.isnan(v)]
    if not known:
        return "–"
    digits = 1 if scale == 100 else 3
    text = f"{mean(known):.{digits}f}"
    return f"{text} ± {stdev(known):.{digits}f}" if len(known) > 1 else text


def cell(values: Sequence[float], difference: Interval | None) -> str:
    """Mean, deviation and, against a baseline, the paired difference."""
    text = spread(values)
    if difference is None or math.isnan(difference.mean):
        return text
    gap = f"{100 * difference.mean:+.1f}"
    if not math.isnan(difference.half_width):
        gap += f" ± {100 * difference.half_width:.1f}"
    return f"{text}  ({gap})"
