"""What all losses that score features by one row a class share."""

import pytest
import torch

from equiseg.losses.cosines import cosines, directions
from equiseg.losses.dot_regression import DotRegressionLoss
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


@pytest.mark.parametrize(
    "made", [lambda features: cosines(features, torch.eye(3)), directions], ids=["cosines", "unit"]
)
def test_a_feature_of_length_zero_has_no_direction_and_no_gradient(made):
    features = torch.tensor([[0.0, 0, 0], [0, 3, 4]], requires_grad=True)
    values = made(features)
    torch.testing.assert_close(values, torch.tensor([[0, 0, 0], [0, 0.6, 0.8]]))
    values.sum().backward()
    assert not features.grad[0].any()
    assert features.grad[1].any()
