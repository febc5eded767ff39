"""Losses that know how often each class occurs, in eval mode where they draw or count."""

import torch

from equiseg.losses.balanced_softmax import BalancedSoftmaxLoss
from equiseg.losses.equalization import EqualizationLoss
from equiseg.losses.ldam import LdamLoss
from equiseg.losses.logit_adjusted import LogitAdjustedLoss
from equiseg.losses.seesaw import SeesawLoss
from equiseg.testing import NUM_CLASSES as K
from equiseg.testing import LossCase
from reference.slow_equalization import equalization
from reference.slow_ldam import ldam
from reference.slow_logit_adjusted import logit_adjusted
from reference.slow_seesaw import seesaw

PRIOR = (0.5, 0.25, 0.125, 0.0625, 0.03125)
COUNTS = (4096, 625, 256, 81, 16)
WEIGHT = (0.25, 0.5, 0.75, 1.5, 2.0)


def deferred(ignore: int) -> LdamLoss:
    loss = LdamLoss(K, class_counts=COUNTS, max_margin=0.5, scale=30.0, ignore_index=ignore)
    loss.reweight(WEIGHT)
    return loss


def counted(ignore: int, **options: float) -> SeesawLoss:
    loss = SeesawLoss(K, **options, ignore_index=ignore).eval()
    loss.counts_K.copy_(torch.tensor(COUNTS))
    return loss


CASES = [
    LossCase(
        "logit_adjusted",
        lambda ignore: LogitAdjustedLoss(K, prior=PRIOR, tau=0.5, ignore_index=ignore),
        lambda _, *batch: logit_adjusted(*batch, PRIOR, tau=0.5),
    ),
    LossCase(
        "balanced_softmax",
        lambda ignore: BalancedSoftmaxLoss(K, prior=COUNTS, ignore_index=ignore),
        lambda _, *batch: logit_adjusted(*batch, COUNTS),
    ),
    LossCase(
        "ldam",
        lambda ignore: LdamLoss(K, class_counts=COUNTS, ignore_index=ignore),
        lambda _, *batch: ldam(*batch, COUNTS),
    ),
    LossCase(
        "ldam_deferred",
        deferred,
        lambda _, *batch: ldam(*batch, COUNTS, max_margin=0.5, scale=30.0, weight=WEIGHT),
    ),
    LossCase(
        "seesaw",
        counted,
        lambda _, *batch: seesaw(*batch, COUNTS, mitigation=0.8, compensation=2),
        spared={
            "gradients": "compensation is constant to the gradient, which finite differences "
            "cannot know; tests/losses/test_seesaw.py derives it"
        },
    ),
    LossCase(
        "seesaw_mitigation",
        lambda ignore: counted(ignore, compensation=0),
        lambda _, *batch: seesaw(*batch, COUNTS, mitigation=0.8, compensation=0),
    ),
    LossCase(
        "equalization",
        lambda ignore: EqualizationLoss(K, prior=PRIOR, tail_share=0.1, ignore_index=ignore).eval(),
        lambda _, *batch: equalization(*batch, rare={3, 4}),
    ),
]
