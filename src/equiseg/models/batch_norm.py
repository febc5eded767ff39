"""Advice for batches that are too small for batch normalisation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_OF_TORCH = "more than 1 value per channel"


def advises_on_batch_norm(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Add advice to the error of torch if a batch is too small for batch normalisation.

    One image whose coarsest map has one cell gives one value per channel, which has no variance.
    """

    @functools.wraps(forward)
    def advised(self: Any, inputs: Any) -> Any:
        try:
            return forward(self, inputs)
        except ValueError as error:
            if _OF_TORCH not in str(error):
                raise
            shape = tuple(getattr(inputs, "shape", ()))
            raise ValueError(
                f"batch normalisation cannot train on one value per channel, which a batch of "
                f"shape {shape} leaves in a coarse map; use larger batches (batch_size) or images, "
                "or leave the last incomplete batch out (model.eval() needs neither)"
            ) from error

    return advised
