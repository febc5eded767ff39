"""Tests specific to region rebalance; tests/contract holds the common checks."""

import math

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses.region_rebalance import RegionRebalanceLoss

K, C = 5, 7
PRIOR = (0.9, 0.5, 0.2, 0.1, 0.05)


def test_without_smoothing_it_is_cross_entropy_of_a_linear_layer_on_regions():
    loss = RegionRebalanceLoss(K, C, prior=PRIOR, smoothing=0)
    torch.nn.init.normal_(loss.bias_K, generator=torch.Generator().manual_seed(1))
    features = torch.randn(40, C, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % K
    regions = torch.stack([features[labels == k].mean(0) for k in range(K)])
    logits = F.linear(regions, loss.rows_KD, loss.bias_K) + torch.tensor(PRIOR).log()
    torch.testing.assert_close(loss(features, labels), F.cross_entropy(logits, torch.arange(K)))


def test_rows_and_bias_learn():
    loss = RegionRebalanceLoss(K, C, prior=PRIOR)
    assert {name for name, _ in loss.named_parameters()} == {"rows_KD", "bias_K"}
    loss(torch.randn(10, C), torch.arange(10) % 3).backward()
    assert all(parameter.grad.any() for parameter in loss.parameters())


def test_a_region_weighs_the_same_whatever_its_size():
    loss = RegionRebalanceLoss(2, 2, prior=(1, 1), smoothing=0)
    labels = torch.tensor([0] * 99 + [1])
    features = torch.eye(2)[labels].requires_grad_()
    loss(features, labels).backward()
    alone = torch.eye(2).requires_grad_()
    loss(alone, torch.tensor([0, 1])).backward()
    torch.testing.assert_close(features.grad[:99].sum(0), alone.grad[0])


def test_the_prior_is_required():
    with pytest.raises(TypeError, match="prior"):
        RegionRebalanceLoss(K, C)


@pytest.mark.parametrize("weight", [-1, math.inf, "strong"])
def test_a_weight_that_cannot_work_is_refused(weight):
    with pytest.raises(ValueError, match=r"weight must be a finite number >= 0, .* default is 1$"):
        RegionRebalanceLoss(K, C, prior=PRIOR, weight=weight)


@pytest.mark.parametrize(
    ("classes", "smoothing"), [(5, 0.8), (5, -0.1), (2, 0.5), (5, math.nan), (5, "half")]
)
def test_a_target_that_is_not_the_largest_is_refused(classes, smoothing):
    with pytest.raises(
        ValueError, match=f"smoothing must be .* got {smoothing!r}; 0 switches it off"
    ):
        RegionRebalanceLoss(classes, C, prior=[1.0] * classes, smoothing=smoothing)


def test_golden_value():
    """Regions on their rows at the start: logits 1, -1/2, -1/2; targets 1/2, 1/4, 1/4."""
    loss = RegionRebalanceLoss(3, 4, prior=(2, 1, 1))
    value = loss(loss.rows_KD.detach(), torch.tensor([0, 1, 255])).item()
    first = math.log(2 * math.exp(1) + 2 * math.exp(-1 / 2)) - (math.log(2) + 1) / 2 + 1 / 4
    second = math.log(math.exp(1) + 3 * math.exp(-1 / 2)) - 1 / 2 - math.log(2) / 4 + 1 / 4
    assert value == pytest.approx((first + second) / 2)
    assert value == pytest.approx(1.1936, abs=5e-5)
