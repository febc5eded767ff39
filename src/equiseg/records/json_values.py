"""Values as JSON can hold them."""

from __future__ import annotations

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """The value with None for NaN and infinity, which JSON does not know, in lists and mappings."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
