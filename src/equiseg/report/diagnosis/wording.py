"""What a diagnosis says, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from equiseg.collapse import BranchGradients
from equiseg.diagnosis.result import CENTER, PIXEL, Diagnosis
from equiseg.report.diagnosis.gradient_figure import frequency_law
from equiseg.report.wording import number


def ledes(diagnoses: Mapping[str, Diagnosis]) -> list[str]:
    """What a diagnosis says, in a few sentences; the last network is the one spoken of."""
    *others, (name, diagnosis) = diagnoses.items()
    score, measures = diagnosis.evaluation.score, diagnosis.measures
    beside = dict(others)
    lines = [
        f"{name} reaches a mIoU of {number(score.miou)} %: {number(score.head)} % on head classes, "
        f"{number(score.tail)} % on the tail"
        + _beside(beside, lambda d: f"{number(d.evaluation.score.tail)} % on the tail")
        + "."
    ]
    r = diagnosis.correlation.pearson
    if not math.isnan(r):
        lines.append(
            f"{_frequency_verdict(r)}: the correlation of IoU with the logarithm of the training "
            f"frequency is {number(r, 1, 2)}"
            + _beside(beside, lambda d: number(d.correlation.pearson, 1, 2))
            + "."
        )
    if measures.num_present > 1:
        ideal = -1 / (measures.num_present - 1)
        text = (
            f"The cosines between class centers lie {number(measures.maximal_separation, 1, 2)} "
            f"from the {number(ideal, 1, 2)} of the simplex, on average"
            + _beside(beside, lambda d: number(d.measures.maximal_separation, 1, 2))
        )
        first, second, cosine, there, back = diagnosis.pairs[0]
        one, other = diagnosis.classes[first], diagnosis.classes[second]
        lines.append(
            f"{text}. Closest are {one} and {other} (cosine {number(cosine, 1, 2)}): "
            f"{number(there)} % of the labels of {one} are taken for {other}, {number(back)} % of "
            f"those of {other} for {one}."
        )
    if PIXEL in diagnosis.gradients:
        pixel, center = (_growth(diagnosis.gradients[branch]) for branch in (PIXEL, CENTER))
        lines.append(
            f"Where both occur, a class with ten times the {diagnosis.unit}s of another would "
            f"get {pixel} its gradient from pixel cross entropy, and {center} from the center "
            "branch."
        )
    return lines


def _growth(gradients: BranchGradients) -> str:
    """How the gradient of a class grows with ten times its pixels, as it is and at equal error."""
    times, at_equal_error = (
        number(10 ** frequency_law(gradients, panel).exponent, 1, 1)
        for panel in ("present", "equal error")
    )
    return f"{times} times ({at_equal_error} at equal error)"


def _frequency_verdict(r: float) -> str:
    if r >= 0.5:
        return "The rarer a class, the worse it is learned"
    if r >= 0.2:
        return "Rare classes tend to be learned worse"
    if r > -0.2:
        return "Frequency hardly decides how well a class is learned"
    return "Rare classes are not learned worse here"


def _beside(others: Mapping[str, Diagnosis], told: Callable[[Diagnosis], str]) -> str:
    parts = [f"{name}: {told(diagnosis)}" for name, diagnosis in others.items()]
    return f" ({', '.join(parts)})" if parts else ""


def caution(diagnoses: Mapping[str, Diagnosis]) -> str:
    """How little one network, or two, can show."""
    *_, last = diagnoses.values()
    kind = "blocks or scans" if last.unit == "point" else "images"
    text = f"One network on {last.num_samples} {kind}: no interval can be given."
    if len(diagnoses) > 1:
        text = (
            f"One network each on {last.num_samples} {kind}: no interval can be given, and a "
            "difference may be chance; equiseg compare sets seeds beside each other."
        )
    return text
