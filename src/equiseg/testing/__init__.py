"""The contract suite of losses: CI runs it on ours, and one call runs it on your own loss."""

from equiseg.testing.loss_case import IN_FEATURES, NUM_CLASSES, LossCase
from equiseg.testing.loss_checks import LOSS_CHECKS, LossCheck, check_loss
from equiseg.testing.rank_checks import check_ranks

__all__ = [
    "IN_FEATURES",
    "LOSS_CHECKS",
    "NUM_CLASSES",
    "LossCase",
    "LossCheck",
    "check_loss",
    "check_ranks",
]
