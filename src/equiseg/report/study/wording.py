"""What a study says, in plain words, and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from equiseg.report.wording import caution, count, interval, number
from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import overall_difference
from equiseg.study.run_study import Study

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


def title(study: Study) -> str:
    """What was compared with what, on how much."""
    first, *others = study.methods
    tasks = count(len(study.comparisons), "task")
    if not others:
        return f"{first} on {tasks}"
    if len(others) == 1:
        return f"{others[0]} against {first} on {tasks}"
    return f"{count(len(others), 'method').capitalize()} against {first} on {tasks}"


def ledes(study: Study) -> list[str]:
    """Which method stands highest on the tail, and of how many a gain or loss is shown."""
    first, *others = study.methods
    tail = _known(study, "tail")
    if not others:
        return [f"{first} was run alone: there is nothing to compare it with."]
    if not tail:
        return ["No task has a score of the tail."]
    best = max(tail, key=lambda name: tail[name].mean)
    if tail[best].mean <= 0:
        highest = f"On the tail no other method's mean is above that of {first}."
    else:
        highest = f"The tail stands highest with {best}: {_told(tail[best])} against {first}"
        beside = [
            f"{_told(gap)} {where}"
            for metric, where in (("head", "on the head"), ("miou", "in mIoU"))
            if (gap := _known(study, metric).get(best)) is not None
        ]
        highest += f"; {' and '.join(beside)}." if beside else "."
    return [highest, _counted(study, tail)]


def caution_of(study: Study) -> str:
    """How far so many tasks and seeds can be trusted."""
    tasks = len(study.comparisons)
    parts = []
    if tasks == 1:
        parts.append("One task: there are no ranks, and nothing is said of other data.")
    elif tasks <= 3:
        parts.append(
            f"{count(tasks, 'task').capitalize()}: intervals over tasks run from the smallest to "
            "the largest mean and cover less than 95 %."
        )
    elif tasks < 10:
        parts.append(
            f"{count(tasks, 'task').capitalize()}: intervals over tasks speak of data like these, "
            "and are wide."
        )
    if any(c.split == "val" for c in study.comparisons.values()) and any(study.tuning.values()):
        parts.append("Settings were chosen on the split that is scored: tuned methods look better.")
    parts.append(caution(min(len(c.seeds) for c in study.comparisons.values())))
    if len(study.methods) > 2:
        parts.append("The highest of several was picked after looking: its lead flatters it.")
    return " ".join(filter(None, parts))


def _known(study: Study, metric: str) -> dict[str, Interval]:
    """The change each method makes, of those that have one."""
    gaps = {name: overall_difference(study, name, metric) for name in study.methods[1:]}
    return {name: gap for name, gap in gaps.items() if not math.isnan(gap.mean)}


def _told(gap: Interval) -> str:
    text = f"{number(gap.mean, sign=True)} points"
    if math.isnan(gap.low):
        return text
    holds = "which leaves out 0" if gap.excludes_zero else "which holds 0"
    return f"{text} (95 % interval {interval(gap)}, {holds})"


def _counted(study: Study, tail: dict[str, Interval]) -> str:
    """Of which methods the intervals show something."""
    if all(math.isnan(gap.low) for gap in tail.values()):
        return "Without a second seed or task there are no intervals, and no difference is shown."
    head = _known(study, "head")
    gains = [name for name, gap in tail.items() if gap.low > 0]
    losses = [name for name, gap in tail.items() if gap.high < 0]
    paid = [name for name in gains if name in head and head[name].high < 0]
    text = f"A gain on the tail is shown for {_names(gains)}"
    if paid:
        text += f" (at a loss on the head: {_names(paid)})"
    elif gains:
        text += ", with no loss on the head shown"
    text += f"; a loss on the tail for {_names(losses)}"
    return f"{text}. Shown means that the 95 % interval of a method leaves out 0, each by itself."


def _names(names: Sequence[str]) -> str:
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def task_title(study: Study, task: str) -> str:
    """The name of a task; of the only one, which may have none, that of its data."""
    return task if task != "." else card_of(study.comparisons[task])


def card_of(comparison: Comparison) -> str:
    """The name of the data of a task."""
    return Path(comparison.runs[comparison.baseline][0]["config"]["data"]["card"]).stem
