"""Checks of the arguments of losses: numbers, and vectors of one number per class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor


def per_class(name: str, values: Tensor | Sequence[float], num_classes: int) -> Tensor:
    """(K,) positive numbers as float32, detached and on the CPU: ready for a buffer.

    Args:
        name: Name of the argument in error messages.
        values: One number per class.
        num_classes: Number of classes K.

    Raises:
        ValueError: If there is not one number per class, or one is not positive and finite.
    """
    try:
        given_K = torch.as_tensor(values).detach().double().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be one number per class, got {values!r}") from error
    values_K = given_K.float()  # check the stored values: in float32, 1e-46 is 0 and 1e39 infinite
    if values_K.shape != (num_classes,):
        raise ValueError(
            f"{name} must hold one number per class, shape ({num_classes},), got "
            f"{tuple(values_K.shape)}; equiseg.class_prior and equiseg.class_weights make one "
            "from class counts"
        )
    wrong = ~(values_K.isfinite() & (values_K > 0))
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name} must be positive and finite, got {float(given_K[first])} for class {first}; "
            "equiseg.class_prior and equiseg.class_weights give absent classes a value"
        )
    return values_K


def is_number(value: object) -> bool:
    """Whether a value is a real number; text from a configuration, True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_number(name: str, value: float, *, default: float, positive: bool = False) -> None:
    """Raise an error unless the value is a finite number >= 0 (> 0 if ``positive``).

    Raises:
        ValueError: If it is anything else.
    """
    if not (is_number(value) and 0 <= value < math.inf) or (positive and value == 0):
        raise ValueError(
            f"{name} must be a finite number {'>' if positive else '>='} 0, got {value!r}; the "
            f"default is {default:g}"
        )


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise an error unless the value is a whole number >= ``least``.

    Raises:
        ValueError: If it is anything else.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
