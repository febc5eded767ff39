"""Losses that weigh pixels: by their class, or by how hard they are."""

from equiseg.losses.focal import FocalLoss
from equiseg.losses.ohem import OhemLoss
from equiseg.losses.weighted_cross_entropy import WeightedCrossEntropyLoss
from equiseg.testing import NUM_CLASSES as K
from equiseg.testing import LossCase
from reference.slow_focal import focal
from reference.slow_ohem import ohem
from reference.slow_weighted_cross_entropy import weighted_cross_entropy

WEIGHT = (0.25, 0.5, 0.75, 1.5, 2.0)
CASES = [
    LossCase(
        "weighted_cross_entropy",
        lambda ignore: WeightedCrossEntropyLoss(K, class_weight=WEIGHT, ignore_index=ignore),
        lambda _, *batch: weighted_cross_entropy(*batch, WEIGHT),
    ),
    LossCase(
        "focal",
        lambda ignore: FocalLoss(K, ignore_index=ignore),
        lambda _, *batch: focal(*batch),
    ),
    LossCase(
        "focal_alpha",
        lambda ignore: FocalLoss(K, gamma=0.5, class_weight=WEIGHT, ignore_index=ignore),
        lambda _, *batch: focal(*batch, gamma=0.5, alpha=WEIGHT),
    ),
    LossCase(
        "ohem",
        lambda ignore: OhemLoss(K, ignore_index=ignore),
        lambda _, *batch: ohem(*batch),
    ),
    LossCase(
        "ohem_hardest_share",
        lambda ignore: OhemLoss(K, threshold=0, min_kept=0.25, ignore_index=ignore),
        lambda _, *batch: ohem(*batch, threshold=0, min_kept=0.25),
    ),
]
