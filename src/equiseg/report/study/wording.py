"""The findings of a study, in plain words, and how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from equiseg.metrics.catalogue import SCORES
from equiseg.report.wording import caution, change, count
from equiseg.study.interval import Interval
from equiseg.study.over_tasks import overall_difference
from equiseg.study.record import Study

# The scores of a study, the most important ones first.
ORDER = ("tail", "head", "miou", "pixel_accuracy", "ece", "common", "foreground", "mean_accuracy")


def score_title(metric: str) -> str:
    """A score as a heading."""
    return SCORES[metric].heading()


def title(study: Study) -> str:
    """The compared methods, and the number of tasks."""
    first, *others = study.methods
    tasks = count(len(study.comparisons), "task")
    if not others:
        return f"{first} on {tasks}"
    if len(others) == 1:
        return f"{others[0]} against {first} on {tasks}"
    return f"{count(len(others), 'method').capitalize()} against {first} on {tasks}"


def ledes(study: Study) -> list[str]:
    """The method with the largest tail gain, and which gains and losses are significant."""
    first, *others = study.methods
    tail = _known(study, "tail")
    if not others:
        return [f"{first} was run alone: there is no method to compare it with."]
    if not tail:
        return ["No task has a score of the tail."]
    best = max(tail, key=lambda name: tail[name].mean)
    if tail[best].mean <= 0:
        highest = f"No method has a higher mean tail score than {first}."
    else:
        highest = f"{best} gains most: it {change(tail[best], 'on the tail', first)}"
        beside = [
            change(gap, where)
            for metric, where in (("head", "on the head"), ("miou", "in mIoU"))
            if (gap := _known(study, metric).get(best)) is not None
        ]
        highest += f", and {' and '.join(beside)}." if beside else "."
    return [highest, _counted(study, tail)]


def caution_of(study: Study) -> str:
    """How far so many tasks and seeds can be trusted."""
    tasks = len(study.comparisons)
    parts = []
    if tasks == 1:
        parts.append("One task: there are no ranks, and other data may give other results.")
    elif tasks <= 3:
        parts.append(
            f"{count(tasks, 'task').capitalize()}: intervals over tasks run from the smallest to "
            "the largest mean and cover less than 95 %."
        )
    elif tasks < 10:
        parts.append(
            f"{count(tasks, 'task').capitalize()}: intervals over tasks hold for data like these, "
            "and are wide."
        )
    if any(c.split == "val" for c in study.comparisons.values()) and any(study.tuning.values()):
        parts.append(
            "Settings were chosen on the split that is scored, so scores of tuned methods are "
            "optimistic."
        )
    parts.append(caution(min(len(c.seeds) for c in study.comparisons.values())))
    if len(study.methods) > 2:
        parts.append(
            "The best method was chosen after seeing the results, so its margin is optimistic."
        )
    return " ".join(filter(None, parts))


def _known(study: Study, metric: str) -> dict[str, Interval]:
    """The change each method makes, of those that have one."""
    gaps = {name: overall_difference(study, name, metric) for name in study.methods[1:]}
    return {name: gap for name, gap in gaps.items() if not math.isnan(gap.mean)}


def _counted(study: Study, tail: dict[str, Interval]) -> str:
    """Which differences are significant."""
    if all(math.isnan(gap.low) for gap in tail.values()):
        return "With one seed of one task there are no intervals, so no difference is significant."
    head = _known(study, "head")
    gains = [name for name, gap in tail.items() if gap.low > 0]
    losses = [name for name, gap in tail.items() if gap.high < 0]
    paid = [name for name in gains if name in head and head[name].high < 0]
    text = f"Significant gains on the tail: {_names(gains)}"
    if paid:
        text += f" (with a significant loss on the head: {_names(paid)})"
    elif gains:
        text += ", without a significant loss on the head"
    text += f"; significant losses on the tail: {_names(losses)}"
    return f"{text}. Significant means that the 95 % interval of a method, taken alone, excludes 0."


def _names(names: Sequence[str]) -> str:
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def task_title(study: Study, task: str) -> str:
    """The name of a task; of the only one, which may have none, the name of its data."""
    return task if task != "." else study.comparisons[task].title
