"""What a folder of results holds, so that no command writes among the results of another."""

from __future__ import annotations

from enum import Enum
from pathlib import Path


class Outcome(Enum):
    """A kind of results, by what a folder that holds them has."""

    RUN = "a run", ("config.yaml",)
    COMPARISON = "a comparison", ("comparison.json", "results.csv", "*/seed*/config.yaml")
    COUNTS = "counts of data", ("statistics.json",)
    DIAGNOSIS = "a diagnosis", ("diagnosis.json",)


def check_outcome(folder: Path, outcome: Outcome) -> None:
    """Refuse a folder that holds results of another kind.

    Args:
        folder: Where results go; it need not be there.
        outcome: Their kind.

    Raises:
        ValueError: Naming what is there.
    """
    for other in Outcome:
        kind, signs = other.value
        found = next((path for sign in signs for path in folder.glob(sign)), None)
        if other is not outcome and found is not None:
            raise ValueError(
                f"out: {folder} holds {kind} ({found.relative_to(folder)}); choose another folder "
                f"for {outcome.value[0]}"
            )
