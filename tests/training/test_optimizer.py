import pytest
import torch
from torch import nn

from equiseg.models import build_model
from equiseg.training.config import OptimizerConfig
from equiseg.training.optimizer import build_optimizer, learning_rate_factor


@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant"])
def test_warm_up_rises_and_the_schedule_ends(schedule):
    config = OptimizerConfig(schedule=schedule, warmup=0.1)
    factors = [learning_rate_factor(step, 100, config) for step in range(100)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == 1.0 if schedule == "constant" else factors[-1] < 0.03


def test_poly_decays_with_the_power_of_the_remaining_share():
    config = OptimizerConfig(warmup=0.0)
    assert learning_rate_factor(50, 100, config) == pytest.approx(0.5**0.9)


def test_the_encoder_has_its_own_rate_and_vectors_do_not_decay():
    model = build_model("fpn-small", 5)
    criterion = nn.Linear(3, 3)
    config = OptimizerConfig(lr=1.0, encoder_lr=0.1, weight_decay=0.5)
    optimizer = build_optimizer(model, criterion, config)
    settings = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert settings[id(model.classifier.weight)] == (1.0, 0.5)
    assert settings[id(model.classifier.bias)] == (1.0, 0.0)
    assert settings[id(next(model.encoder.parameters()))] == (0.1, 0.5)
    assert settings[id(criterion.weight)] == (1.0, 0.5)
    assert len(settings) == sum(1 for _ in (*model.parameters(), *criterion.parameters()))


def test_frozen_parameters_are_not_optimised():
    model = build_model("fpn-small", 5)
    model.encoder.requires_grad_(False)
    optimizer = build_optimizer(model, nn.Identity(), OptimizerConfig(name="sgd"))
    assert isinstance(optimizer, torch.optim.SGD)
    trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    frozen = sum(p.numel() for p in model.encoder.parameters())
    assert trained == sum(p.numel() for p in model.parameters()) - frozen
