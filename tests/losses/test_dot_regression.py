"""Tests specific to dot regression; tests/contract holds the common checks."""

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.dot_regression import DotRegressionLoss

K, C = 5, 7


def test_it_only_pulls():
    """Descent turns a feature towards its own vertex, and knows no other class."""
    loss = DotRegressionLoss(K, C)
    features = torch.randn(1, C, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss(features, torch.tensor([2])).backward()
    unit, vertex = F.normalize(features.detach(), dim=1), loss.frame_KD[2]
    cosine = unit @ vertex
    towards = (vertex - cosine * unit) / features.detach().norm()
    torch.testing.assert_close(-features.grad, (1 - cosine) * towards)


def test_the_length_of_a_feature_does_not_count():
    loss = DotRegressionLoss(K, C)
    features = torch.randn(20, C, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % K
    torch.testing.assert_close(loss(9 * features, labels), loss(features, labels))


def test_more_classes_than_a_simplex_holds():
    loss = DotRegressionLoss(9, 3)
    assert torch.equal(loss.logits(loss.frame_KD).argmax(1), torch.arange(9))


def test_golden_value():
    """Of three pixels, one is on its vertex and two are on that of another class: cosine -1/2."""
    loss = DotRegressionLoss(3, 4)
    value = loss(5 * loss.frame_KD[[0, 1, 2, 2]], torch.tensor([0, 2, 1, 255]))
    assert value.item() == pytest.approx((0 + 9 / 8 + 9 / 8) / 3)
    assert value.item() == pytest.approx(0.75)
