"""Tests specific to the Lovasz loss; tests/contract holds the common checks."""

from unittest.mock import Mock

import pytest
import torch
from torch.nn import functional as F

from equiseg.losses import lovasz as module
from equiseg.losses.lovasz import LovaszLoss
from golden import LABELS, LOGITS


def test_for_a_hard_prediction_it_is_one_minus_the_mean_iou():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 255])
    predicted = torch.tensor([0, 0, 1, 1, 3, 2, 3])
    iou = torch.tensor([2 / 3, 1 / 3, 1])  # of class 3, absent, none
    value = LovaszLoss(4)(1000.0 * F.one_hot(predicted, 4), labels)
    torch.testing.assert_close(value, 1 - iou.mean())


def test_the_gradient_of_many_pixels_keeps_its_digits():
    """Slopes are about 1e-6 here; the difference of two float32 IoUs would have one digit."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2**19, 3, generator=generator)
    labels = torch.randint(0, 3, (2**19,), generator=generator)
    loss = LovaszLoss(3)
    single = logits.clone().requires_grad_()
    double = logits.double().requires_grad_()
    loss(single, labels).backward()
    loss(double, labels).backward()
    # Where float32 rounds two errors to one value their order, and so their slopes, may differ.
    alike = torch.isclose(single.grad.double(), double.grad, rtol=1e-3, atol=1e-10)
    assert alike.float().mean() > 0.999


def test_absent_classes_are_not_sorted_on_the_cpu(monkeypatch):
    slopes = Mock(wraps=module._slopes)
    monkeypatch.setattr(module, "_slopes", slopes)
    LovaszLoss(150)(torch.zeros(6, 150), torch.tensor([0, 0, 3, 3, 7, 255]))
    assert slopes.call_count == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_by_bits_is_the_order_of_the_errors(dtype):
    generator = torch.Generator().manual_seed(0)
    errors = torch.rand(2**16, generator=generator, dtype=dtype) ** 30  # down to denormal numbers
    errors[::7] = errors[1::7][: len(errors[::7])].clone()  # ties
    errors[:3] = torch.tensor([0.0, 1.0, 1e-45])
    expected = errors.argsort(descending=True, stable=True)
    assert torch.equal(module._largest_first(errors), expected)


def test_an_error_rounded_below_zero_comes_last():
    assert module._largest_first(torch.tensor([-6e-8, 0.0, 0.5])).tolist() == [2, 0, 1]


def test_gradients_of_classes_are_joined_once():
    """The gradient of a slice [:, k] is a map of all K classes: K of them take K * K maps."""
    logits = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = LovaszLoss(5)(logits, torch.arange(64) % 5)
    joined, nodes = [], [value.grad_fn]
    while nodes:
        node = nodes.pop()
        joined.append(node.name())
        nodes += [of for of, _ in node.next_functions if of is not None]
    assert "UnbindBackward0" in joined
    assert "SelectBackward0" not in joined


def test_the_order_of_equal_errors_does_not_change_the_loss():
    labels = torch.tensor([0, 1, 2, 1, 0, 0])
    logits = torch.zeros(6, 3)
    loss = LovaszLoss(3)
    for order in (torch.arange(6), torch.arange(6).flip(0), torch.tensor([3, 1, 5, 0, 2, 4])):
        torch.testing.assert_close(loss(logits, labels[order]), loss(logits, labels))


def test_golden_value():
    # Class 0: error 1/2 of its one pixel makes the IoU zero. Class 2: errors 3/4 and 1/4 of its
    # two pixels and 1/4 of another; the first halves the IoU, the other two take the rest.
    by_hand = (1 / 2 + (3 / 4 * 1 / 2 + 1 / 4 * 1 / 2)) / 2
    assert LovaszLoss(3)(LOGITS, LABELS).item() == pytest.approx(by_hand)
    assert by_hand == 0.5
