"""What runs logged, epoch by epoch: read from their logs, and kept as curves.json."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import short
from equiseg.records.checked import Maybe, check_form, named_damage
from equiseg.records.json_values import without_nan
from equiseg.records.record_files import MOST_BYTES, read_record, write_record

CURVES = "curves.json"
_CURVES = {str: {str: {str: {str: Maybe(float)}}}}
_MOST_STEPS = 1 << 53  # as floats count
Curve = dict[int, float]
"""A value by epoch, from 1."""
History = dict[str, Curve]
"""All that a run logged, by name."""
Histories = dict[str, dict[str, History]]
"""Of each variant the history of each run, by the name of its folder."""


def read_history(folder: Path) -> History:
    """The logged values of one run: for each name, epoch (from 1) to value.

    A resumed run logs to a new file and may repeat an epoch: the last value counts.

    Args:
        folder: The folder of a run, with logs/version_*/metrics.csv. Empty if there is none.

    Raises:
        FileError: If a log is damaged.
    """
    history: History = {}
    for file in log_files(folder):
        for row in log_rows(file):
            epoch = int(row["epoch"]) + 1
            for name, value in row.items():
                if name not in ("epoch", "step"):
                    history.setdefault(name, {})[epoch] = value
    return history


def log_rows(file: Path) -> list[dict[str, float]]:
    """The rows of a log, without an incomplete last line of a killed run.

    Raises:
        FileError: If the file is not a log, or damaged.
    """
    text = read_text(file, MOST_BYTES)
    whole = text[: text.rfind("\n") + 1]
    rows = []
    try:
        for row in csv.DictReader(io.StringIO(whole, newline="")):
            rows.append({name: float(value) for name, value in row.items() if value})
            if not all(0 <= rows[-1][name] < _MOST_STEPS for name in ("epoch", "step")):
                raise ValueError("an epoch or a step is not a count")
    except (csv.Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(
            f"{file}: damaged ({short(error)}); remove it: the curves of its epochs are left out"
        ) from None
    return rows


def log_files(folder: Path) -> list[Path]:
    """The log files of a run, the oldest first."""
    numbered = {
        int(number): file
        for file in folder.glob("logs/version_*/metrics.csv")
        if (number := file.parent.name.removeprefix("version_")).isdecimal()
    }
    return [numbered[number] for number in sorted(numbered)]


def read_histories(
    folders: Mapping[str, Sequence[Path]], tell: Callable[[str], None] = lambda text: None
) -> Histories:
    """The histories of the runs of each variant, from their logs.

    Args:
        folders: The runs of each variant.
        tell: Told which logs are damaged; these runs have no curves.
    """
    histories: Histories = {}
    for variant, paths in folders.items():
        histories[variant] = {}
        for folder in paths:
            try:
                history = read_history(folder)
            except FileError as error:
                tell(str(error))
                history = {}
            histories[variant][folder.name] = history
    return histories


def save_histories(histories: Histories, path: Path) -> None:
    """Write histories as a record."""
    write_record(path, "curves", {"curves": without_nan(histories)})


def load_histories(path: Path) -> Histories:
    """Read what :func:`save_histories` wrote.

    Raises:
        ValueError: If it is no such record, or of a version that is not known.
    """
    known = read_record(path, "curves", ("curves",), "equiseg compare")["curves"]
    check_form(path, "equiseg compare", known, _CURVES)
    with named_damage(path, "equiseg compare"):
        return histories_of(known)


def histories_of(values: dict[str, Any]) -> Histories:
    """Histories from JSON, where epochs are text and NaN is null."""
    return {
        variant: {run: {name: _curve(c) for name, c in h.items()} for run, h in runs.items()}
        for variant, runs in values.items()
    }


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over runs, at the epochs that all of them have reached."""
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    means = {epoch: sum(c[epoch] for c in curves) / len(curves) for epoch in sorted(shared)}
    return {epoch: value for epoch, value in means.items() if not math.isnan(value)}


def history_rows(histories: Histories, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """What runs logged as the rows of a CSV: one for each variant, run and epoch.

    Args:
        histories: Of the runs of each variant.
        kinds: How the names of the wanted values begin, as "val/".
    """
    rows = []
    for variant, runs in histories.items():
        for run, history in runs.items():
            curves = {name: history[name] for name in sorted(history) if name.startswith(kinds)}
            for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
                values = {n: curve[epoch] for n, curve in curves.items() if epoch in curve}
                rows.append({"variant": variant, "run": run, "epoch": epoch, **values})
    return rows


def _curve(values: dict[str, float | None]) -> Curve:
    return {int(epoch): math.nan if v is None else v for epoch, v in values.items()}
