"""Numbers as text, and differences in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval

NONE = "–"
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number(value: float, scale: float = 100, digits: int = 1, sign: bool = False) -> str:
    """A value times ``scale``, with a true minus; a dash where there is none."""
    if math.isnan(value):
        return NONE
    rounded = round(scale * value, digits) + 0.0  # never "−0.0"
    return f"{rounded:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def spread(values: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """Mean and, of two values or more, standard deviation; NaN left out."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return NONE
    text = number(mean(known), scale, digits)
    return f"{text} ± {number(stdev(known), scale, digits)}" if len(known) > 1 else text


def interval(difference: Interval, scale: float = 100, digits: int = 1) -> str:
    """The ends of the 95 % interval; empty where there is none."""
    if math.isnan(difference.low):
        return ""
    ends = difference.low, difference.high
    return " to ".join(number(end, scale, digits, sign=True) for end in ends)


def count(n: int, noun: str) -> str:
    """One seed, three seeds, 12 classes."""
    plural = noun + ("es" if noun.endswith(("s", "ch")) else "s")
    return f"{_COUNTS[n] if n < len(_COUNTS) else n} {noun if n == 1 else plural}"


def verdict(comparison: Comparison, variant: str) -> str:
    """The differences from the baseline on the tail, on the head and in mIoU, and a conclusion."""
    places = {"tail": "on the tail", "head": "on the head", "miou": "in mIoU"}
    gaps = {metric: comparison.difference(variant, metric) for metric in places}
    known = {m: gap for m, gap in gaps.items() if not math.isnan(gap.mean)}
    if not known:
        return f"{variant} and {comparison.baseline} have no score in common."
    (metric, gap), *others = known.items()
    text = f"{variant} {change(gap, places[metric], comparison.baseline)}"
    if others:
        text += f"; it {' and '.join(change(g, places[m]) for m, g in others)}"
    return f"{text}.{_conclusion(gaps['tail'])}"


def change(gap: Interval, place: str, baseline: str = "") -> str:
    """A difference as a verb: "gains 6.6 points on the tail over cross_entropy", its interval.

    Args:
        gap: The difference from the baseline, as a fraction.
        place: Of which score, as "on the tail".
        baseline: Name of the baseline; empty leaves it out.
    """
    points = number(abs(gap.mean))
    over = f" {'compared with' if gap.mean < 0 else 'over'} {baseline}" if baseline else ""
    text = f"{'loses' if gap.mean < 0 else 'gains'} {points} points {place}{over}"
    if points == number(0):
        text = f"has the same score {place}" + (f" as {baseline}" if baseline else "")
    if not math.isnan(gap.half_width):
        zero = "excludes 0" if gap.excludes_zero else "contains 0"
        text += f" (95 % interval {interval(gap)}, {zero})"
    return text


def _conclusion(tail: Interval) -> str:
    if math.isnan(tail.half_width):
        return ""
    if not tail.excludes_zero:
        return " No significant difference on the tail."
    return f" The {'gain' if tail.mean > 0 else 'loss'} on the tail is significant."


def caution(num_seeds: int, *, compared: bool = True) -> str:
    """How far so many seeds can be trusted; empty from five on.

    Args:
        num_seeds: Number of seeds.
        compared: Whether there is more than one method.
    """
    if num_seeds == 1 and not compared:
        return "One run: another seed may score differently."
    if num_seeds == 1:
        return "One seed: there is no interval, and any difference may be chance."
    if num_seeds == 2:
        return "Two seeds: the intervals have one degree of freedom and say almost nothing."
    if num_seeds < 5:
        return f"{count(num_seeds, 'seed').capitalize()}: an indication, not a proof."
    return ""
