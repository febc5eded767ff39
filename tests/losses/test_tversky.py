"""Tests specific to the Tversky loss; tests/contract holds the common checks."""

import math

import pytest
import torch

from equiseg.losses.tversky import TverskyLoss
from golden import LABELS, LOGITS


@pytest.mark.parametrize(
    ("prices", "rounded"), [({}, 0.4586), ({"alpha": 0.0, "beta": 1.0}, 0.5), ({"beta": 2}, 0.6824)]
)
def test_golden_value(prices, rounded):
    alpha, beta = prices.get("alpha", 0.3), prices.get("beta", 0.7)
    first = 1 - 0.5 / (0.5 + alpha * 0.375 + beta * 0.5)
    last = 1 - 1 / (1 + alpha * 0.25 + beta * 1)
    value = TverskyLoss(3, **prices)(LOGITS, LABELS).item()
    assert value == pytest.approx((first + last) / 2)
    assert value == pytest.approx(rounded, abs=5e-5)


def test_an_absent_class_without_a_price_on_false_positives_is_no_division_by_zero():
    logits = torch.zeros(4, 3, requires_grad=True)
    TverskyLoss(3, alpha=0)(logits, torch.tensor([0, 0, 255, 0])).backward()
    assert logits.grad.isfinite().all()


def test_few_mistakes_among_many_pixels_are_not_rounded_away():
    """A million right pixels and a mistake of a millionth: lost in a float32 sum near a million."""
    logits = torch.tensor([[14.0, 0.0]]).expand(2**20, 2)
    labels = torch.zeros(2**20, dtype=torch.int64)
    loss = TverskyLoss(2)
    expected = loss(logits.double(), labels).item()
    assert expected > 0
    assert loss(logits, labels).item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"alpha": -0.1}, r"alpha must be a finite number >= 0, got -0\.1"),
        ({"beta": 0}, "beta must be a finite number > 0, got 0: without a weight"),
        ({"beta": math.nan}, "beta must be a finite number > 0, got nan"),
    ],
)
def test_invalid_weights_are_refused(prices, message):
    with pytest.raises(ValueError, match=message):
        TverskyLoss(3, **prices)
