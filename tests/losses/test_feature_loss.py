"""What all losses that score features by one row a class share."""

import pytest
import torch

from equiseg.losses.dot_regression import DotRegressionLoss
from equiseg.losses.feature_loss import cosines
from equiseg.losses.fixed_classifier import FixedClassifierLoss
from equiseg.losses.prototype_contrast import PrototypeContrastLoss
from maps import LargestTensor

K, C = 5, 64
every_loss = pytest.mark.parametrize(
    "build", [DotRegressionLoss, FixedClassifierLoss, PrototypeContrastLoss]
)


@every_loss
def test_features_with_other_channels_are_refused(build):
    loss = build(K, C)
    with pytest.raises(ValueError, match=r"in_features=64 channels, got 7 in .* in_features=7"):
        loss(torch.zeros(3, 7), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="in_features must be a whole number >= 1, got 0"):
        build(K, 0)


@every_loss
def test_features_are_never_resized(build):
    """In pixel size there are K maps, not C."""
    loss = build(K, C)
    features = torch.randn(1, C, 4, 4, requires_grad=True)
    with LargestTensor() as largest:
        loss(features, torch.randint(0, K, (1, 32, 32))).backward()
    assert largest.numel == K * 32 * 32


@every_loss
def test_logits_classify_maps_and_points_alike(build):
    loss = build(K, C)
    features = torch.randn(2, C, 3, 4)
    logits = loss.logits(features)
    assert logits.shape == (2, K, 3, 4)
    points = loss.logits(features.movedim(1, -1).flatten(0, -2))
    torch.testing.assert_close(points, logits.movedim(1, -1).flatten(0, -2))


def test_a_feature_of_length_zero_has_no_direction_and_a_finite_gradient():
    features = torch.zeros(1, 3, requires_grad=True)
    values = cosines(features, torch.eye(3))
    assert not values.any()
    values.sum().backward()
    assert features.grad.isfinite().all()
