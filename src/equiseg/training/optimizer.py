"""The optimizer over a network and its criterion, and the schedule of its rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from equiseg.training.config import OptimizerConfig


def build_optimizer(
    model: nn.Module, criterion: nn.Module, config: OptimizerConfig
) -> torch.optim.Optimizer:
    """The optimizer over model and criterion; vectors (norms, biases) are not decayed."""
    encoder = {id(p) for p in model.encoder_parameters()}  # type: ignore[operator]
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in (*model.parameters(), *criterion.parameters()):
        if parameter.requires_grad:
            key = (id(parameter) in encoder, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    settings = [
        {
            "params": parameters,
            "lr": config.lr * (config.encoder_lr if in_encoder else 1.0),
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (in_encoder, decayed), parameters in groups.items()
    ]
    if config.name == "sgd":
        return torch.optim.SGD(settings, lr=config.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(settings, lr=config.lr)


def learning_rate_factor(step: int, steps: int, config: OptimizerConfig) -> float:
    """Factor on the peak rate at a step: linear warm-up, then the schedule's decay to zero."""
    warmup = round(config.warmup * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = 1 - (step - warmup) / max(steps - warmup, 1)
    if config.schedule == "poly":
        return float(max(left, 0.0) ** 0.9)
    if config.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * max(left, 0.0)))
    return 1.0
