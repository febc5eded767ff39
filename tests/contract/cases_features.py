"""Losses over features: fixed and learned classifiers, prototypes, regions."""

import torch
from torch import nn

from equiseg.losses.dot_regression import DotRegressionLoss
from equiseg.losses.fixed_classifier import FixedClassifierLoss
from equiseg.losses.learnable_center import LearnableCenterLoss
from equiseg.losses.prototype_contrast import PrototypeContrastLoss
from equiseg.losses.region_rebalance import RegionRebalanceLoss
from equiseg.testing import IN_FEATURES as C
from equiseg.testing import NUM_CLASSES as K
from equiseg.testing import LossCase
from reference.slow_dot_regression import dot_regression
from reference.slow_fixed_classifier import fixed_classifier
from reference.slow_learnable_center import learnable_center
from reference.slow_prototype_contrast import prototype_contrast
from reference.slow_region_rebalance import region_rebalance

PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


def contrast_with_prototypes(ignore: int) -> nn.Module:
    """In evaluation, where the state stays; in training the prototypes follow every batch."""
    loss = PrototypeContrastLoss(K, C, ignore_index=ignore)
    torch.nn.init.orthogonal_(loss.prototypes_KD, generator=torch.Generator().manual_seed(0))
    return loss.eval()


CASES = [
    LossCase(
        "fixed_classifier",
        lambda ignore: FixedClassifierLoss(K, C, ignore_index=ignore),
        fixed_classifier,
    ),
    LossCase(
        "fixed_classifier_scaled",
        lambda ignore: FixedClassifierLoss(K, C, scale=3, ignore_index=ignore),
        lambda *batch: fixed_classifier(*batch, scale=3),
    ),
    LossCase(
        "dot_regression",
        lambda ignore: DotRegressionLoss(K, C, ignore_index=ignore),
        dot_regression,
    ),
    LossCase("prototype_contrast", contrast_with_prototypes, prototype_contrast),
    LossCase(
        "learnable_center",
        lambda ignore: LearnableCenterLoss(K, C, prior=PRIOR, ignore_index=ignore),
        lambda *batch: learnable_center(*batch, prior=PRIOR),
    ),
    LossCase(
        "region_rebalance",
        lambda ignore: RegionRebalanceLoss(K, C, prior=PRIOR, ignore_index=ignore),
        lambda *batch: region_rebalance(*batch, prior=PRIOR),
    ),
]
