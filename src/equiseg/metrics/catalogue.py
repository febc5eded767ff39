"""The one table of scores and collapse measures: how each is called, and what it says.

Tables, pages, studies and docs read names and sentences here. Imports nothing: a page is drawn
without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A number that is shown.

    Attributes:
        name: Its key in the records: result.json, comparison.json, diagnosis.json.
        label: As a table's row names it; "{unit}" is "pixel" or "point".
        unit: "%" for fractions that are shown in percent, "" for plain numbers.
        less_is_better: Whether a lower value is better.
        sentence: What it measures.
        source: Who proposed it; empty for what needs no source.
        zero_at_collapse: Of a collapse measure, whether it is 0 when collapse is complete.
    """

    name: str
    label: str
    unit: str
    less_is_better: bool
    sentence: str
    source: str = ""
    zero_at_collapse: bool = False

    def heading(self, unit: str = "pixel") -> str:
        """The label as a heading, of pixels or points."""
        text = self.label.format(unit=unit)
        return text if text.startswith("mIoU") else text[0].upper() + text[1:]


def _score(name: str, label: str, sentence: str, less_is_better: bool = False) -> Quantity:
    return Quantity(name, label, "%", less_is_better, sentence)


_ECE = "Mean gap between confidence and share of correct predictions (Guo et al. 2017)"
SCORES = {
    score.name: score
    for score in (
        _score("miou", "mIoU", "Mean IoU of all classes."),
        _score(
            "foreground", "mIoU without background", "Mean IoU of all classes but the background."
        ),
        _score("head", "head IoU", "Mean IoU of the most frequent third of the classes."),
        _score("common", "common IoU", "Mean IoU of the middle third of the classes."),
        _score("tail", "tail IoU", "Mean IoU of the rarest third of the classes."),
        _score("mean_accuracy", "mean accuracy", "Mean share of a class's pixels that are found."),
        _score("pixel_accuracy", "{unit} accuracy", "Share of all pixels that are correct."),
        _score("ece", "calibration error", f"{_ECE}.", True),
        _score("head_accuracy", "head accuracy", "Mean accuracy of the head classes."),
        _score("common_accuracy", "common accuracy", "Mean accuracy of the common classes."),
        _score("tail_accuracy", "tail accuracy", "Mean accuracy of the tail classes."),
        _score("head_ece", "head calibration error", f"{_ECE} of head classes.", True),
        _score("common_ece", "common calibration error", f"{_ECE} of common classes.", True),
        _score("tail_ece", "tail calibration error", f"{_ECE} of tail classes.", True),
    )
}
"""Every score of a record, by name."""

COMPARED = tuple(SCORES)[:8]
"""The scores that a comparison shows and that a setting may be chosen by, in their order."""

_PAPYAN = "Papyan, Han and Donoho 2020"


def _measure(name: str, sentence: str, source: str = _PAPYAN, zero: bool = True) -> Quantity:
    return Quantity(name, name.replace("_", " "), "", True, sentence, source, zero)


MEASURES = {
    measure.name: measure
    for measure in (
        _measure(
            "nc1_ratio",
            "Spread of the features within classes, relative to the spread between classes.",
            "Hui et al. 2022",
        ),
        _measure("nc1_pinv", "The same, direction by direction."),
        _measure(
            "nc1_svd",
            "The same along the leading directions of the centers, not divided by the classes.",
            f"code of {_PAPYAN}",
        ),
        _measure(
            "cdnv",
            "The same for pairs of classes: variances over the squared distance of their centers.",
            "Galanti et al. 2022",
        ),
        _measure("equinorm", "Spread of the lengths of the class centers, relative to their mean."),
        _measure("equiangularity", "Spread of the cosines between class centers."),
        _measure(
            "maximal_separation",
            "Mean distance of these cosines from −1/(K−1), the largest equal separation.",
        ),
        _measure(
            "etf_error",
            "Distance of the products of the centers from those of a simplex: lengths and angles.",
            "Zhu et al. 2021",
        ),
        _measure(
            "largest_cosine",
            "Cosine of the closest pair of centers; −1/(K−1) at collapse.",
            zero=False,
        ),
        _measure(
            "margin",
            "Least distance of a center's direction from the hull of the others; K/(K−1) at "
            "collapse, 1 at most where K > D + 1.",
            "Jiang et al. 2023",
            zero=False,
        ),
        _measure("self_duality", "Squared distance of centers and classifier rows, 0 to 4."),
        _measure(
            "nearest_center_agreement",
            "Share of the labelled pixels for which the classifier predicts the class of the "
            "nearest center; 1 at collapse.",
            zero=False,
        ),
        _measure("classifier_equinorm", "Spread of the lengths of the classifier's rows."),
        _measure(
            "classifier_equiangularity", "Spread of the cosines between the classifier's rows."
        ),
        _measure("classifier_maximal_separation", "Mean distance of these cosines from −1/(K−1)."),
        _measure("classifier_etf_error", "As for the centers.", "Zhu et al. 2021"),
        _measure("classifier_largest_cosine", "Cosine of the closest pair of rows.", zero=False),
        _measure("classifier_margin", "As for the centers.", "Jiang et al. 2023", zero=False),
    )
}
"""Every collapse measure of a record, by name, in the order of a table."""

SUMMARY = ("equinorm", "equiangularity", "maximal_separation", "self_duality")
"""The measures that the terminal shows after a comparison."""


def less_is_better(name: str) -> bool:
    """Whether a score is an error, of all classes or of a group."""
    return name in SCORES and SCORES[name].less_is_better


def best_of(scores: Sequence[float], name: str) -> int:
    """Which of several values of a score is best; NaN, of a failed run, is worst."""
    sign = -1 if less_is_better(name) else 1
    return max(
        range(len(scores)), key=lambda i: -math.inf if math.isnan(scores[i]) else sign * scores[i]
    )
