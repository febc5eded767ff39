"""Weights that are NaN or infinite are found and named."""

import math

import pytest
import torch
from torch import nn

from equiseg.runs.finite import check_finite, first_non_finite, first_overflow


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["0.weight", "1.running_var", "3.bias"])
def test_the_first_layer_is_named(name: str, value: float):
    model = network()
    assert first_non_finite(model) is None
    model.state_dict()[name].view(-1)[-1] = value
    model.get_parameter("3.bias").data[0] = value
    assert first_non_finite(model) == name
    with pytest.raises(ValueError, match=f"weights of {name} are NaN or infinite here; do this"):
        check_finite(model, "here", "do this")


def test_buffers_that_are_not_learned_may_be_infinite():
    model = network()
    model.register_buffer("mask", torch.full((2,), -math.inf))
    assert first_non_finite(model) is None


def test_the_layer_that_overflows_is_named():
    model = network().eval()
    images = torch.rand(1, 3, 4, 4)
    assert first_overflow(model, images) is None
    model.get_parameter("0.weight").data.fill_(1e38)
    assert first_overflow(model, 10 * images) == "0"
    assert not any(module._forward_hooks for module in model.modules())
