"""Class imbalance: counts, imbalance factors, groups, priors, weights, context."""

from equiseg.imbalance.class_table import ClassTable
from equiseg.imbalance.context import ContextStatistics
from equiseg.imbalance.formulas import (
    WeightFormula,
    class_prior,
    class_weights,
    effective_num_classes,
    effective_number,
    gini,
    imbalance_factor,
)
from equiseg.imbalance.groups import FrequencyGroups
from equiseg.imbalance.statistics import ClassStatistics

__all__ = [
    "ClassStatistics",
    "ClassTable",
    "ContextStatistics",
    "FrequencyGroups",
    "WeightFormula",
    "class_prior",
    "class_weights",
    "effective_num_classes",
    "effective_number",
    "gini",
    "imbalance_factor",
]
