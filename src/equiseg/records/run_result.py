"""What a finished run leaves: result.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError
from equiseg.records.checked import Fields, Maybe, check_classes, check_form, check_groups
from equiseg.records.record_files import read_record, write_record

RESULT = "result.json"
PROGRESS = "progress"
"""While a run trains: the share of its epochs that are done, as a number."""
SCORES = Fields(
    {"miou": float, "iou": [float], "collapse": {str: float}},
    {"accuracy": [float], "calibration": {str: [float]}, "confusion": [[float]], "means_over": str},
    others=float,
)
"""The form of the scores of a split."""
RUN = Fields(
    {"seed": int, "config": Fields({"data": Fields({"card": str})})},
    {
        "best_epoch": int,
        "step_seconds": Maybe(float),
        "data_wait_share": Maybe(float),
        "peak_memory_bytes": Maybe(int),
        "memory_of": str,
        "provenance": {str: str},
        "val": SCORES,
        "test": SCORES,
    },
)
"""The form of a run in a record; older records lack the optional values."""
_GROUPS = ("head", "common", "tail")
_IN_TABLES = (
    *("mean_accuracy", "pixel_accuracy", "num_iou"),
    *(name.format(group) for group in _GROUPS for name in ("{}", "num_{}", "{}_accuracy")),
)
_OWN_SCORES = Fields(
    {**SCORES.needed, "accuracy": [float], **dict.fromkeys(_IN_TABLES, float)},
    SCORES.optional,
    others=float,
)
_RESULT = Fields(
    {
        **RUN.needed,
        "method": str,
        "classes": [str],
        "groups": {str: [int]},
        "pixels": [int],
    },
    {
        **RUN.optional,
        "val": _OWN_SCORES,
        "test": _OWN_SCORES,
        "images": [int],
        "unit": str,
        "data_name": str,
        "command": str,
    },
)


def read_result(folder: Path) -> dict[str, Any]:
    """The result of a finished run.

    Raises:
        FileError: If it is damaged, or of an unknown version.
    """
    path = folder / RESULT
    again = f"equiseg train, after removing {RESULT}"
    values = read_record(path, "run", (), again)
    check_form(path, again, values, _RESULT)
    num_classes = len(values["classes"])
    check_groups(path, again, num_classes, values["groups"])
    check_classes(path, again, num_classes, pixels=values["pixels"])
    if not any(split in values for split in ("val", "test")):
        raise FileError(f"{path}: has scores of neither val nor test; write it again with {again}")
    for split in ("val", "test"):
        if split in values:
            lists = {f"{split}.{name}": values[split][name] for name in ("iou", "accuracy")}
            check_classes(path, again, num_classes, **lists)
    return values


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
