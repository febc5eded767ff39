"""What a study says over all its tasks: scores, differences, costs, and a row for every run."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np

from equiseg.study.interval import Interval
from equiseg.study.ranking import paired_bootstrap
from equiseg.study.record import Study

COSTS = ("step_seconds", "peak_memory_bytes")


def method_scores(study: Study, metric: str) -> dict[str, list[float]]:
    """Mean over seeds of every method, on the tasks where all methods have that score."""
    scores = {
        task: [
            float(np.nanmean(v)) if not np.isnan(v).all() else math.nan
            for v in (np.array(comparison.values(name, metric)) for name in study.methods)
        ]
        for task, comparison in study.comparisons.items()
        if metric in comparison.metrics
    }
    return {task: row for task, row in scores.items() if not any(map(math.isnan, row))}


def overall_difference(
    study: Study, method: str, metric: str, *, resample_tasks: bool = True
) -> Interval:
    """A method against the baseline over the tasks where both have a score.

    Of one task the interval is Student's, as on the page of that task.

    Args:
        study: The finished study.
        method: Which method.
        metric: Which score.
        resample_tasks: See :func:`paired_bootstrap`.
    """
    gaps = {}
    for task, comparison in study.comparisons.items():
        if metric in comparison.metrics:
            both = (comparison.values(name, metric) for name in (method, comparison.baseline))
            values = [ours - theirs for ours, theirs in zip(*both, strict=True)]
            if not all(map(math.isnan, values)):
                gaps[task] = values
    if not gaps:
        return Interval(math.nan)
    if len(gaps) == 1:
        return study.comparisons[next(iter(gaps))].difference(method, metric)
    return paired_bootstrap([*gaps.values()], resample_tasks=resample_tasks)


def relative_costs(study: Study, key: str) -> dict[str, dict[str, float]]:
    """What each method takes on each task, over what the baseline takes.

    Medians over seeds: parallel runs slow each other down, some more than others. Where
    it was not measured a method has no such task.

    Args:
        study: The finished study.
        key: "step_seconds" or "peak_memory_bytes".
    """
    ratios: dict[str, dict[str, float]] = {name: {} for name in study.methods}
    for task, comparison in study.comparisons.items():
        taken = {
            name: [run[key] for run in runs if run.get(key)]
            for name, runs in comparison.runs.items()
        }
        for name, values in taken.items():
            if values and taken[comparison.baseline]:
                ratios[name][task] = median(values) / median(taken[comparison.baseline])
    return ratios


def study_rows(study: Study) -> list[dict[str, Any]]:
    """One row a finished run: what it was, how it was set, every score, what it cost."""
    rows = []
    for task, comparison in study.comparisons.items():
        for method, runs in comparison.runs.items():
            trials = study.tuning.get(task, {}).get(method, [])
            for seed, run in zip(comparison.seeds, runs, strict=True):
                scores = {metric: run[comparison.split][metric] for metric in comparison.metrics}
                ious = dict(zip(comparison.classes, run[comparison.split]["iou"], strict=True))
                rows.append(
                    {
                        "task": task,
                        "method": method,
                        "seed": seed,
                        "loss": run["config"]["method"],
                        "setting": next((t.changes for t in trials if t.chosen), method),
                        **scores,
                        **{key: run.get(key) for key in (*COSTS, "memory_of")},
                        "best_epoch": run["best_epoch"],
                        "commit": run["provenance"].get("commit"),
                        "ious": " ".join(f"{name}={iou:.4f}" for name, iou in ious.items()),
                    }
                )
    return rows
