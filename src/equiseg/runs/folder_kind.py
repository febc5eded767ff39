"""What a folder of results holds, so that no command writes among the results of another."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

_MARK = ".equiseg"  # files of ours have names that a folder may have for reasons of its own


class Outcome(Enum):
    """A kind of results."""

    RUN = "a run"
    COMPARISON = "a comparison"
    COUNTS = "counts of data"
    DIAGNOSIS = "a diagnosis"


def check_outcome(folder: Path, outcome: Outcome) -> None:
    """Refuse a folder that was marked for results of another kind.

    Args:
        folder: Where results go; it need not be there.
        outcome: Their kind.

    Raises:
        ValueError: Naming what is there.
    """
    if folder.is_file():
        raise ValueError(f"out: {folder} is a file; give a folder")
    mark = folder / _MARK
    if mark.is_file() and (held := mark.read_text(encoding="utf-8").strip()) != outcome.value:
        raise ValueError(f"out: {folder} holds {held}; choose another folder for {outcome.value}")


def mark_outcome(folder: Path, outcome: Outcome) -> None:
    """Say in a folder what it holds, before anything else is written there.

    Args:
        folder: Where results go; made if need be.
        outcome: Their kind.

    Raises:
        ValueError: If it holds another kind.
    """
    check_outcome(folder, outcome)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(f"{outcome.value}\n", encoding="utf-8")
