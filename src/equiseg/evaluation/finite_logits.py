"""Logits without NaN and infinity, which raise an error that names the layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from equiseg.runs.finite import first_overflow


class NonFiniteError(ValueError):
    """The network computes NaN or infinity, so its predictions mean nothing."""


def finite_logits(model: Callable[[Any], Tensor], inputs: Any) -> Tensor:
    """The logits of a network as float32.

    Args:
        model: The network. Only if its logits are not finite it runs again, watched layer by layer.
        inputs: Its argument: images, or voxels.

    Raises:
        NonFiniteError: If a logit is NaN or infinite; it names the first layer with such an output.
    """
    logits = model(inputs).float()
    if bool(logits.isfinite().all()):
        return logits
    values = inputs if isinstance(inputs, Tensor) else inputs.features
    if not bool(values.isfinite().all()):
        raise NonFiniteError(
            "the input of the network is NaN or infinite; check the values of the file"
        )
    layer = first_overflow(model, inputs) if isinstance(model, nn.Module) else None
    where = f"first after its layer {layer}" if layer else "in its last layer"
    raise NonFiniteError(
        f"the network computes NaN or infinity, {where}; its predictions would mean nothing: take "
        "earlier weights, or train again with a lower optimizer.lr"
    )
