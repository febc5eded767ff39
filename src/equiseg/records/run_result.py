"""What a finished run leaves: result.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equiseg.records.record_files import read_record, write_record

RESULT = "result.json"


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run.

    Raises:
        ValueError: If it is of a version that is not known.
    """
    return read_record(folder / RESULT, "run", (), "equiseg train")


def write_result(result: dict[str, Any], folder: Path) -> None:
    """Write a result; one that exists is complete."""
    write_record(folder / RESULT, "run", result)


def score_of(record: dict[str, Any], name: str) -> float:
    """One score of an evaluation.

    Raises:
        ValueError: If there is no such score.
    """
    known = {key: value for key, value in record.items() if isinstance(value, float)}
    if name not in known:
        raise ValueError(f"select must be one of {', '.join(known)}, got {name!r}")
    return known[name]
