"""Derivatives beyond backward: forward mode, batched gradients, and a default device."""

import inspect

import pytest
import torch

from equiseg import losses

K, C = 4, 6
LABELS = torch.randint(0, K, (2, 3, 5), generator=torch.Generator().manual_seed(0))
LABELS[0, 0] = 255


def built(loss):
    shares = torch.arange(1, K + 1) ** -1.5
    values = {"num_classes": K, "in_features": C, "weight": 1.0}
    values |= dict.fromkeys(("prior", "class_counts", "class_weight"), shares)
    parameters = inspect.signature(loss).parameters.values()
    made = loss(**{p.name: values[p.name] for p in parameters if p.default is p.empty}).double()
    width = C if hasattr(made, "in_features") else K
    inputs = torch.randn(2, width, 3, 5, generator=torch.Generator().manual_seed(1)).double()
    return made.eval(), inputs


every_loss = pytest.mark.parametrize(
    "loss",
    [
        losses.BalancedSoftmaxLoss,
        losses.DiceLoss,
        losses.DotRegressionLoss,
        losses.EqualizationLoss,
        losses.LdamLoss,
        losses.LogitAdjustedLoss,
        losses.PrototypeContrastLoss,
        losses.SeesawLoss,
        losses.TverskyLoss,
    ],
)


def prepared(loss):
    made, inputs = built(loss)
    if isinstance(made, losses.PrototypeContrastLoss):
        made.train()(inputs, LABELS)  # sets the prototypes
        made.eval()
    return made, inputs


@every_loss
def test_forward_mode_equals_backward(loss):
    made, inputs = prepared(loss)
    direction = inputs.cos()
    value, found = torch.func.jvp(lambda x: made(x, LABELS), (inputs,), (direction,))
    inputs.requires_grad_()
    expected = made(inputs, LABELS)
    (gradient,) = torch.autograd.grad(expected, inputs)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(found, (gradient * direction).sum())


@every_loss
def test_batched_gradients_equal_single_ones(loss):
    made, inputs = prepared(loss)
    inputs.requires_grad_()
    value = made(inputs, LABELS)
    both = torch.stack([value, 2 * value])
    (found,) = torch.autograd.grad(
        both, inputs, torch.eye(2).double(), is_grads_batched=True, retain_graph=True
    )
    (gradient,) = torch.autograd.grad(value, inputs)
    torch.testing.assert_close(found, torch.stack([gradient, 2 * gradient]))


@every_loss
def test_another_default_device_changes_nothing(loss):
    made, inputs = prepared(loss)
    expected = made(inputs, LABELS)
    with torch.device("meta"):
        found = made(inputs, LABELS)
    assert torch.equal(found, expected)
