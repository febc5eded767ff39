"""Numbers as text, and what they say in plain words."""

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
    """How a variant stands against the baseline: tail, head, mIoU, and what may be concluded."""
    places = {
        "tail": "on the tail classes",
        "head": "on the head",
        "miou": "in mIoU over all classes",
    }
    gaps = {metric: comparison.difference(variant, metric) for metric in places}
    parts = [
        f"{_gap(gaps[m])} {place}" for m, place in places.items() if not math.isnan(gaps[m].mean)
    ]
    if not parts:
        return f"Against {comparison.baseline}, {variant} cannot be judged: no score in common."
    *others, last = parts
    said = f"{', '.join(others)} and {last}" if others else last
    return f"Against {comparison.baseline}, {variant} stands {said}." + _conclusion(gaps["tail"])


def _gap(gap: Interval) -> str:
    """A difference in points, its interval, and whether that holds 0."""
    text = f"{number(gap.mean, sign=True)} points"
    if not math.isnan(gap.half_width):
        zero = "which leaves out 0" if gap.excludes_zero else "which holds 0"
        text += f" (95 % interval {interval(gap)}, {zero})"
    return text


def _conclusion(tail: Interval) -> str:
    if math.isnan(tail.half_width):
        return ""
    if not tail.excludes_zero:
        return " No difference on the tail is shown."
    return f" A {'gain' if tail.mean > 0 else 'loss'} on the tail is shown."


def caution(num_seeds: int) -> str:
    """How far so many seeds can be trusted; empty from five on."""
    if num_seeds == 1:
        return "One seed: no interval can be given, and any difference here may be chance."
    if num_seeds == 2:
        return "Two seeds: the intervals rest on one degree of freedom and say next to nothing."
    if num_seeds < 5:
        return f"{count(num_seeds, 'seed').capitalize()}: a reading, not a proof."
    return ""
