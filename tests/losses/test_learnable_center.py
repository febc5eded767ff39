"""Tests specific to the learnable center classifier; tests/contract holds the common checks."""

import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.center_collapse import CenterCollapseLoss
from equiseg.losses.learnable_center import LearnableCenterLoss

K, C = 5, 7
PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


def points():
    features = torch.randn(40, C, generator=torch.Generator().manual_seed(0))
    return features.requires_grad_(), torch.arange(40) % 4  # class 4 is absent


def test_it_starts_as_the_center_collapse_loss():
    features, labels = points()
    options = {"weight": 0.7, "scale": 3.0, "prior": PRIOR, "min_count": 2, "seed": 1}
    learnable, fixed = (
        build(K, C, **options) for build in (LearnableCenterLoss, CenterCollapseLoss)
    )
    torch.testing.assert_close(learnable(features, labels), fixed(features, labels))
    torch.testing.assert_close(learnable.rows_KD.detach(), fixed.frame_KD)


def test_its_rows_learn_by_the_gradient_of_the_paper():
    features, labels = points()
    loss = LearnableCenterLoss(K, C, weight=1.0, scale=1.0)
    loss(features, labels).backward()
    centers = torch.stack([features[labels == k].mean(0) for k in range(4)])
    directions = F.normalize(centers.detach(), dim=1)
    shares = (directions @ loss.rows_KD.detach().T).softmax(1)
    within = (shares.diagonal() - 1).unsqueeze(1) * directions
    for k in range(4):
        between = sum(shares[other, k] * directions[other] for other in range(4) if other != k)
        torch.testing.assert_close(loss.rows_KD.grad[k], (within[k] + between) / 4)


def test_its_rows_are_its_only_parameter():
    assert [name for name, _ in LearnableCenterLoss(K, C).named_parameters()] == ["rows_KD"]


def test_golden_value():
    """Centers on the rows at the start: cosines 1 and -1/2, at scale 5 and weight 0.4."""
    loss = LearnableCenterLoss(3, 4)
    value = loss(2 * loss.rows_KD.detach(), torch.tensor([0, 1, 255])).item()
    assert value == pytest.approx(0.4 * math.log(1 + 2 * math.exp(-7.5)), rel=1e-4)
    assert value == pytest.approx(0.000442, abs=5e-7)
