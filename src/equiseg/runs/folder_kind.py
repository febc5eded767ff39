"""The kind of results in a folder, so that no command writes into results of another kind."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import short
from equiseg.whole_files import replace_text

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
    if not mark.exists():
        return
    there = read_text(mark).strip()
    if there not in {known.value for known in Outcome}:
        seen = repr(short(there)) if there else "is empty"
        raise FileError(
            f"{mark}: damaged ({seen}), it must name the results in the folder; if these are "
            f"{outcome.value}, remove the file and repeat the command"
        )
    if there != outcome.value:
        raise ValueError(f"out: {folder} holds {there}; choose another folder for {outcome.value}")


def mark_outcome(folder: Path, outcome: Outcome) -> None:
    """Mark a folder with its kind of results, before anything else is written there.

    Args:
        folder: Folder for the results; created if missing.
        outcome: Kind of the results.

    Raises:
        ValueError: If it holds another kind.
    """
    check_outcome(folder, outcome)
    replace_text(folder / _MARK, f"{outcome.value}\n")
