"""Interval: a mean and its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval.

    Attributes:
        mean: The mean; NaN of nothing.
        low: Lower end; NaN, as the upper, where nothing is known of the spread.
        high: Upper end.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def paired(cls, values: Sequence[float], baseline: Sequence[float]) -> Interval:
        """Student's interval of the differences, pair by pair; pairs with a NaN are left out."""
        gaps = [v - b for v, b in zip(values, baseline, strict=True) if not math.isnan(v - b)]
        if len(gaps) < 2:
            return cls(gaps[0] if gaps else math.nan)
        from scipy.special import stdtrit

        middle = mean(gaps)
        half = float(stdtrit(len(gaps) - 1, 0.975)) * stdev(gaps) / len(gaps) ** 0.5
        return cls(middle, middle - half, middle + half)

    @property
    def half_width(self) -> float:
        """Half its length."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0
