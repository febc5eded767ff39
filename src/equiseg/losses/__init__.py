"""Losses, one file each, all called as ``loss(logits, labels)`` or ``loss(features, labels)``."""

from equiseg.losses.balanced_softmax import BalancedSoftmaxLoss
from equiseg.losses.center_collapse import CenterCollapseLoss
from equiseg.losses.cross_entropy import CrossEntropyLoss
from equiseg.losses.dice import DiceLoss
from equiseg.losses.dot_regression import DotRegressionLoss
from equiseg.losses.equalization import EqualizationLoss
from equiseg.losses.feature_loss import FeatureLoss
from equiseg.losses.fixed_classifier import FixedClassifierLoss
from equiseg.losses.focal import FocalLoss
from equiseg.losses.ldam import LdamLoss
from equiseg.losses.learnable_center import LearnableCenterLoss
from equiseg.losses.logit_adjusted import LogitAdjustedLoss, adjusted_logits
from equiseg.losses.lovasz import LovaszLoss
from equiseg.losses.ohem import OhemLoss
from equiseg.losses.pixel_loss import PixelLoss
from equiseg.losses.protocol import ClassCounts, ClassPrior, ClassWeight
from equiseg.losses.prototype_contrast import PrototypeContrastLoss
from equiseg.losses.published_center_collapse import PublishedCenterCollapseLoss
from equiseg.losses.region_rebalance import RegionRebalanceLoss
from equiseg.losses.seesaw import SeesawLoss
from equiseg.losses.tversky import TverskyLoss
from equiseg.losses.weighted_cross_entropy import WeightedCrossEntropyLoss

__all__ = [
    "BalancedSoftmaxLoss",
    "CenterCollapseLoss",
    "ClassCounts",
    "ClassPrior",
    "ClassWeight",
    "CrossEntropyLoss",
    "DiceLoss",
    "DotRegressionLoss",
    "EqualizationLoss",
    "FeatureLoss",
    "FixedClassifierLoss",
    "FocalLoss",
    "LdamLoss",
    "LearnableCenterLoss",
    "LogitAdjustedLoss",
    "LovaszLoss",
    "OhemLoss",
    "PixelLoss",
    "PrototypeContrastLoss",
    "PublishedCenterCollapseLoss",
    "RegionRebalanceLoss",
    "SeesawLoss",
    "TverskyLoss",
    "WeightedCrossEntropyLoss",
    "adjusted_logits",
]
