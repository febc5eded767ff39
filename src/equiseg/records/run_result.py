"""What a finished run leaves: result.json."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULT = "result.json"


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def write_result(result: dict[str, Any], folder: Path) -> None:
    """Write a result; one that exists is complete."""
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
    temporary.replace(folder / RESULT)


def less_is_better(name: str) -> bool:
    """Whether a score is an error: that of calibration, of all or of a group."""
    return name.endswith("ece")


def best_of(scores: Sequence[float], name: str) -> int:
    """Which of several values of a score is best; NaN, of what failed, is worst."""
    sign = -1 if less_is_better(name) else 1
    return max(
        range(len(scores)), key=lambda i: -math.inf if math.isnan(scores[i]) else sign * scores[i]
    )


def score_of(record: dict[str, Any], name: str) -> float:
    """One score of an evaluation.

    Raises:
        ValueError: If there is no such score.
    """
    known = {key: value for key, value in record.items() if isinstance(value, float)}
    if name not in known:
        raise ValueError(f"select must be one of {', '.join(known)}, got {name!r}")
    return known[name]
