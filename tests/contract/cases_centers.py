"""Cross entropy, and the regularizer that is added to it."""

from equiseg.losses.center_collapse import CenterCollapseLoss
from equiseg.losses.cross_entropy import CrossEntropyLoss
from equiseg.testing import IN_FEATURES as C
from equiseg.testing import NUM_CLASSES as K
from equiseg.testing import LossCase
from reference.slow_center_collapse import center_collapse, published
from reference.slow_cross_entropy import cross_entropy

PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)
CASES = [
    LossCase(
        "cross_entropy",
        lambda ignore: CrossEntropyLoss(K, ignore_index=ignore),
        lambda _, *batch: cross_entropy(*batch),
    ),
    LossCase(
        "center_collapse",
        lambda ignore: CenterCollapseLoss(K, C, ignore_index=ignore),
        center_collapse,
    ),
    LossCase(
        "center_collapse_learnable",
        lambda ignore: CenterCollapseLoss(
            K, C, projection=("learnable", 9), prior=PRIOR, ignore_index=ignore
        ),
        lambda *batch: center_collapse(*batch, prior=PRIOR),
    ),
    LossCase(
        "center_collapse_published",
        lambda ignore: CenterCollapseLoss.published(
            K, C, prior=PRIOR, weight=0.8, ignore_index=ignore
        ).eval(),
        lambda *batch: published(*batch, prior=PRIOR, weight=0.8, training=False),
        spared={"ranks": "its centers are those of each rank, as published"},
    ),
]
