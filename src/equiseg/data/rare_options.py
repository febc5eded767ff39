"""Checks of options that choose parts of training samples by class."""

from __future__ import annotations

import math


def check_rare(name: str, probability: float, power: float, default_power: float = 0.0) -> None:
    """Refuse an invalid probability of drawing by class, or an invalid power.

    Raises:
        ValueError: If either is out of range, or the power has no effect.
    """
    if not 0 <= probability <= 1:
        raise ValueError(
            f"{name} must be a probability in [0, 1], got {probability}; 0 never chooses by class"
        )
    if not 0 <= power < math.inf:
        raise ValueError(f"{name}_power must be 0 or more, got {power}; 0 draws all classes alike")
    if power != default_power and not probability:
        raise ValueError(
            f"{name}_power has no effect without {name}, got {power}; set {name} above 0"
        )
