"""Tests specific to the fixed classifier; tests/contract holds the common checks."""

import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.fixed_classifier import FixedClassifierLoss

K, C = 5, 7


def test_it_is_cross_entropy_of_a_linear_layer():
    loss = FixedClassifierLoss(K, C, scale=2.0)
    features = torch.randn(20, C, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % K
    expected = F.cross_entropy(F.linear(features, 2 * loss.frame_KD), labels)
    torch.testing.assert_close(loss(features, labels), expected)


def test_nothing_in_it_learns():
    assert not list(FixedClassifierLoss(K, C).parameters())


def test_its_logits_are_the_classifier():
    loss = FixedClassifierLoss(K, C, seed=3)
    assert torch.equal(loss.logits(loss.frame_KD).argmax(1), torch.arange(K))
    assert loss.logits(loss.frame_KD.half()).dtype == torch.float16


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf])
def test_a_scale_that_cannot_work_is_refused(scale):
    with pytest.raises(ValueError, match=f"scale must be a finite number > 0, got {scale}"):
        FixedClassifierLoss(K, C, scale=scale)


def test_golden_value():
    """Features on their vertices, then on that of another class: cosines 1 and -1/2."""
    loss = FixedClassifierLoss(3, 4)
    features = loss.frame_KD[[0, 1, 2]]
    right, wrong = (
        loss(features, torch.tensor([0, 1, 255])),
        loss(features, torch.tensor([1, 2, 0])),
    )
    assert right.item() == pytest.approx(math.log(1 + 2 * math.exp(-1.5)))
    assert right.item() == pytest.approx(0.3690, abs=5e-5)
    assert wrong.item() == pytest.approx(right.item() + 1.5)
