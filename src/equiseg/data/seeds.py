"""Seeds that depend on the run and the draw alone."""

from __future__ import annotations

_MIX = 0x9E3779B97F4A7C15  # odd and dense in bits: spreads neighbouring keys over 64 bits


def mixed_seed(seed: int, key: int) -> int:
    """A seed of 63 bits from two small numbers, as well spread in the 32 low ones torch takes."""
    return ((seed * _MIX + key) * _MIX ^ (key << 17)) & (2**63 - 1)
