"""Find NaN and infinity in weights and layer outputs, and name the layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_STATISTICS = ("running_mean", "running_var")
"""Buffers that are learned; others, such as attention masks, may be infinite on purpose."""


def first_non_finite(model: nn.Module) -> str | None:
    """The first weight, in the order of the layers, with a NaN or an infinity, or None.

    Args:
        model: The network.

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(2, 2)
        >>> first_non_finite(layer)
        >>> _ = layer.bias.data.fill_(float("nan"))
        >>> first_non_finite(layer)
        'bias'
    """
    named = [(name, value) for name, value in _learned(model) if value.is_floating_point()]
    if not named:
        return None
    # One transfer for all weights: a GPU is waited for only once.
    sums = torch.stack([value.detach().isfinite().all().to("cpu") for _, value in named])
    return None if bool(sums.all()) else named[int(sums.int().argmin())][0]


def check_finite(model: nn.Module, where: str, cure: str) -> None:
    """Raise an error for a network with NaN or infinite weights.

    Args:
        model: The network.
        where: When or where this is, for the message.
        cure: The next step, for the message.

    Raises:
        ValueError: Naming the first such layer.
    """
    if (name := first_non_finite(model)) is not None:
        raise ValueError(
            f"the weights of {name} are NaN or infinite{where and f' {where}'}; {cure}"
        )


def first_overflow(model: nn.Module, *inputs: Any) -> str | None:
    """The first layer whose output has a NaN or an infinity in a forward pass, or None.

    Args:
        model: The network.
        inputs: Of its forward.
    """
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            for value in _tensors(output):
                if not found and value.is_floating_point() and not value.isfinite().all():
                    found.append(name)

        return hook

    hooks = [m.register_forward_hook(watch(name)) for name, m in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _learned(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    buffers = dict(model.named_buffers())
    statistics = {n: b for n, b in buffers.items() if n.rsplit(".", 1)[-1] in _STATISTICS}
    learned = dict(model.named_parameters()) | statistics
    for name in model.state_dict():  # the order of the layers
        if name in learned:
            yield name, learned[name]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(features := getattr(value, "features", None), Tensor):  # of voxels
        yield features
