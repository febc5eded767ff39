"""The kind of results in a folder, so that no command writes into results of another kind."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

_MARK = ".equiseg"  # the other file names of equiseg may exist in any folder


class Outcome(Enum):
    """A kind of results."""

    RUN = "a run"
    COMPARISON = "a comparison"
    COUNTS = "counts of data"
    DIAGNOSIS = "a diagnosis"


def check_outcome(folder: Path, outcome: Outcome) -> None:
    """Raise an error if a folder is marked for results of another kind.

    Args:
        folder: Folder for the results; it need not exist.
        outcome: Kind of the results.

    Raises:
        ValueError: If it holds another kind; the message names that kind.
    """
    if folder.is_file():
        raise ValueError(f"out: {folder} is a file; give a folder")
    mark = folder / _MARK
    if mark.is_file() and (held := mark.read_text(encoding="utf-8").strip()) != outcome.value:
        raise ValueError(f"out: {folder} holds {held}; choose another folder for {outcome.value}")


def mark_outcome(folder: Path, outcome: Outcome) -> None:
    """Mark a folder with its kind of results, before anything else is written there.

    Args:
        folder: Folder for the results; created if missing.
        outcome: Kind of the results.

    Raises:
        ValueError: If it holds another kind.
    """
    check_outcome(folder, outcome)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(f"{outcome.value}\n", encoding="utf-8")
