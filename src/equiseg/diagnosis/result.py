"""Diagnosis: what a network has learned of the classes of a split, and its record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from torch import Tensor

from equiseg.collapse import BranchGradients, CollapseMeasures, PowerLaw
from equiseg.evaluation.scoring import Evaluation, evaluation_record
from equiseg.imbalance import FrequencyGroups
from equiseg.records.diagnosis import ConfusedPair
from equiseg.records.json_values import without_nan


class FrequencyCorrelation(NamedTuple):
    """How the IoU of a class goes with its frequency in training, over the classes that have both.

    Attributes:
        pearson: Correlation of the IoU with the logarithm of the count: frequencies span decades.
        spearman: Correlation of their ranks.
        num_classes: Classes counted; fewer than three give NaN.
    """

    pearson: float
    spearman: float
    num_classes: int

    @classmethod
    def of(cls, iou_K: Tensor, class_counts_K: Tensor) -> FrequencyCorrelation:
        """Correlations of (K,) IoU and (K,) training counts; NaN and never counted are left out."""
        from scipy.stats import pearsonr, spearmanr

        known = ~iou_K.isnan() & (class_counts_K > 0)
        iou, frequency = iou_K[known].double(), class_counts_K[known].double().log()
        if len(iou) < 3 or bool((iou == iou[0]).all()) or bool((frequency == frequency[0]).all()):
            return cls(math.nan, math.nan, len(iou))
        pearson, spearman = pearsonr(iou, frequency), spearmanr(iou, frequency)
        return cls(float(pearson.statistic), float(spearman.statistic), len(iou))


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a network has learned of the classes of a split.

    Attributes:
        classes: Names of the classes.
        groups: Head, common and tail.
        class_counts_K: (K,) pixels (points) of each class in training.
        background: The class of pixels that belong to no named class, if there is one.
        unit: "pixel" or "point".
        num_samples: Images or blocks that were looked at.
        evaluation: Scores, class moments and confusion.
        measures: Collapse measures, the agreement with the nearest center included.
        group_measures: The same for head, common and tail.
        correlation: IoU against training frequency.
        pairs: The classes that lie closest, closest first.
        gradients: Of the pixel branch and the center branch, added up over batches. The pixel
            branch is missing where the classifier looks at a neighbourhood.
    """

    classes: tuple[str, ...]
    groups: FrequencyGroups
    class_counts_K: Tensor
    background: int | None
    unit: str
    num_samples: int
    evaluation: Evaluation
    measures: CollapseMeasures
    group_measures: dict[str, CollapseMeasures]
    correlation: FrequencyCorrelation
    pairs: list[ConfusedPair]
    gradients: dict[str, BranchGradients]

    @cached_property
    def numbers(self) -> dict[str, float]:
        """All collapse measures by name, the margins included, which take time."""
        return _with_margins(self.measures)

    @cached_property
    def group_numbers(self) -> dict[str, dict[str, float]]:
        """The same for head, common and tail."""
        return {name: _with_margins(m) for name, m in self.group_measures.items()}


def _with_margins(measures: CollapseMeasures) -> dict[str, float]:
    numbers = measures.numbers() | {"margin": measures.margin}
    if measures.classifier is not None:
        numbers["classifier_margin"] = measures.classifier.margin
    return numbers


def record(diagnosis: Diagnosis, *, margins: bool = True) -> dict[str, Any]:
    """A diagnosis as JSON holds it: matrices as lists, NaN as null.

    Args:
        diagnosis: Of one network.
        margins: Whether to compute the margins too, seconds with hundreds of classes.
    """
    classes, measures = diagnosis.classes, diagnosis.measures
    rows = measures.classifier
    values = {
        "classes": list(classes),
        "groups": {name: list(ids) for name, ids in diagnosis.groups},
        f"training_{diagnosis.unit}s": diagnosis.class_counts_K.tolist(),
        "num_samples": diagnosis.num_samples,
        **evaluation_record(diagnosis.evaluation, diagnosis.background),
        "collapse": diagnosis.numbers if margins else measures.numbers(),
        "collapse_by_group": diagnosis.group_numbers
        if margins
        else {name: group.numbers() for name, group in diagnosis.group_measures.items()},
        "center_cosines": measures.cosines_KK.tolist(),
        "classifier_cosines": None if rows is None else rows.cosines_KK.tolist(),
        "frequency_correlation": diagnosis.correlation._asdict(),
        "nearest_pairs": [
            pair._asdict() | {"first": classes[pair.first], "second": classes[pair.second]}
            for pair in diagnosis.pairs
        ],
        "gradients": {name: gradient_record(g) for name, g in diagnosis.gradients.items()},
    }
    json: dict[str, Any] = without_nan(values)
    return json


def gradient_record(gradients: BranchGradients) -> dict[str, Any]:
    """The gradients of a branch as JSON holds them, as means over batches."""
    steps = gradients.num_batches
    counts_K, mass_K = gradients.present_counts_K, gradients.present_mass_K
    return {
        "slope_where_present": PowerLaw.fit(counts_K, mass_K).exponent,
        "slope_at_equal_error": PowerLaw.fit(counts_K, mass_K / gradients.present_error_K).exponent,
        "slope": PowerLaw.fit(gradients.counts_K, gradients.mean_mass_K).exponent,
        "num_batches": steps,
        "batches": gradients.batches_K.tolist(),
        "pixels": gradients.counts_K.tolist(),
        "mass": gradients.mean_mass_K.tolist(),
        "pull": (gradients.pull_K / steps).tolist(),
        "push": (gradients.push_K / steps).tolist(),
        "error_where_present": gradients.present_error_K.tolist(),
        "row_gradient_within": (gradients.rows_within_KD.norm(dim=1) / steps).tolist(),
        "row_gradient_between": (gradients.rows_between_KD.norm(dim=1) / steps).tolist(),
    }
