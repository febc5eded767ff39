"""The findings of a diagnosis, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from equiseg.records.diagnosis import CENTER, PIXEL, DiagnosisRecord, GradientRecord
from equiseg.report.wording import number

_MOST_NAMED = 3


def ledes(networks: Mapping[str, DiagnosisRecord]) -> list[str]:
    """The findings about the last network, with the numbers of the baseline in brackets."""
    *others, (name, record) = networks.items()
    scores, baseline = record.scores, dict(others)
    lines = [
        f"{name} reaches a mIoU of {number(scores['miou'])} %: {number(scores['head'])} % on head "
        f"classes, {number(scores['tail'])} % on the tail"
        + _beside(baseline, lambda d: f"{number(d.scores['tail'])} % on the tail")
        + "."
    ]
    r = record.correlation["pearson"]
    if not math.isnan(r):
        lines.append(
            f"{_frequency_verdict(r)}: the correlation of IoU with the logarithm of the training "
            f"frequency is {number(r, 1, 2)}"
            + _beside(baseline, lambda d: number(d.correlation["pearson"], 1, 2))
            + "."
        )
    if record.numbers["num_present"] > 1:
        lines.append(_geometry(record, baseline))
    if PIXEL in record.gradients:
        pixel, center = (_growth(record.gradients[branch]) for branch in (PIXEL, CENTER))
        lines.append(
            f"A class with ten times the {record.unit}s of another gets {pixel} its gradient from "
            f"pixel cross entropy, and {center} from the center branch, in batches that hold both."
        )
    return lines


def confusion(record: DiagnosisRecord, class_id: int) -> str:
    """The predictions for one class: "scarf: found 0 %, taken for coat 61 %, background 30 %".

    Args:
        record: Of a network.
        class_id: The class.

    Returns:
        Empty for a class without labels in the split.
    """
    row_K = record.confusion_KK[class_id]
    if not row_K.sum():
        return ""
    share_K = row_K / row_K.sum()
    text = f"{record.classes[class_id]}: found {number(share_K[class_id], digits=0)} %"
    wrong = [k for k in np.argsort(-share_K, kind="stable").tolist() if k != class_id]
    named = [k for k in wrong[:_MOST_NAMED] if share_K[k] >= 0.01]
    if not named:
        return text
    parts = (f"{record.classes[k]} {number(share_K[k], digits=0)} %" for k in named)
    return f"{text}, taken for {', '.join(parts)}"


def rare_confusions(
    record: DiagnosisRecord, groups: Sequence[str] = ("tail", "common")
) -> list[str]:
    """The predictions for each class of some groups, the rarest class first.

    Args:
        record: Of a network.
        groups: Their names, the rarest first.
    """
    order = [k for group in groups for k in reversed(record.groups[group])]
    return [text for k in order if (text := confusion(record, k))]


def caution(networks: Mapping[str, DiagnosisRecord]) -> str:
    """How little one network, or two, can show."""
    *_, last = networks.values()
    text = f"One network on {samples(last)}: there is no interval."
    if len(networks) > 1:
        text = (
            f"One network each on {samples(last)}: there is no interval, and a difference may be "
            "chance; equiseg compare runs several seeds of each."
        )
    return text


def samples(record: DiagnosisRecord) -> str:
    """The number of images, blocks or scans that were looked at."""
    return f"{record.num_samples} {'blocks or scans' if record.unit == 'point' else 'images'}"


def _geometry(record: DiagnosisRecord, baseline: Mapping[str, DiagnosisRecord]) -> str:
    """The distance from the simplex, and the closest classes."""
    distance = number(record.numbers["maximal_separation"], 1, 2)
    ideal = -1 / (record.numbers["num_present"] - 1)
    text = (
        f"The cosines between class centers differ by {distance} on average from the simplex "
        f"({number(ideal, 1, 2)})"
        + _beside(baseline, lambda d: number(d.numbers["maximal_separation"], 1, 2))
    )
    first, second, cosine, there, back = record.pairs[0]
    one, other = record.classes[first], record.classes[second]
    return (
        f"{text}. The closest classes are {one} and {other} (cosine {number(cosine, 1, 2)}): "
        f"{number(there)} % of {one} is predicted as {other}, {number(back)} % of {other} as {one}."
    )


def _growth(gradients: GradientRecord) -> str:
    """How the gradient of a class grows with ten times its pixels, as it is and at equal error."""
    times, at_equal_error = (
        number(10 ** gradients.slopes[panel], 1, 1) for panel in ("present", "equal error")
    )
    return f"{times} times ({at_equal_error} at equal error)"


def _frequency_verdict(r: float) -> str:
    if r >= 0.5:
        return "Rarer classes score lower"
    if r >= 0.2:
        return "Rarer classes tend to score lower"
    if r > -0.2:
        return "Class frequency hardly affects the score"
    return "Rarer classes do not score lower here"


def _beside(others: Mapping[str, DiagnosisRecord], told: Callable[[DiagnosisRecord], str]) -> str:
    parts = [f"{name}: {told(record)}" for name, record in others.items()]
    return f" ({', '.join(parts)})" if parts else ""
