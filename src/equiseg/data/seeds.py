"""Seeds for single draws, derived from the seed of the run."""

from __future__ import annotations

_MIX = 0x9E3779B97F4A7C15  # odd and dense in bits: spreads neighbouring keys over 64 bits


def mixed_seed(seed: int, key: int) -> int:
    """A seed of 63 bits from two small numbers; the 32 low bits that torch uses are mixed too."""
    return ((seed * _MIX + key) * _MIX ^ (key << 17)) & (2**63 - 1)
