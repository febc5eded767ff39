"""What losses are given, checked: numbers, and numbers for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor


def per_class(name: str, values: Tensor | Sequence[float], num_classes: int) -> Tensor:
    """(K,) positive numbers as float32, detached and on the CPU: ready for a buffer.

    Args:
        name: What the error message calls them.
        values: One number a class.
        num_classes: Number of classes K.

    Raises:
        ValueError: If there is not one number a class, or one is not positive and finite.
    """
    try:
        given_K = torch.as_tensor(values).detach().double().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be one number per class, got {values!r}") from error
    values_K = given_K.float()  # checked as it will be kept: 1e-46 is 0 then, and 1e39 infinite
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
            "equiseg.class_prior and equiseg.class_weights give classes never counted a value"
        )
    return values_K


def is_number(value: object) -> bool:
    """Whether it is a real number; words from a configuration are not, nor are True and False."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_number(name: str, value: float, *, default: float, positive: bool = False) -> None:
    """Refuse what is no number, a number below zero, and zero itself where it must be positive.

    Raises:
        ValueError: If it is that, or not finite.
    """
    if not (is_number(value) and 0 <= value < math.inf) or (positive and value == 0):
        raise ValueError(
            f"{name} must be a finite number {'>' if positive else '>='} 0, got {value!r}; the "
            f"default is {default:g}"
        )


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuse what is no whole number, or one below the least.

    Raises:
        ValueError: If it is that.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
