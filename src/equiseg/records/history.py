"""What runs logged, epoch by epoch: read from their logs, and kept as curves.json."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equiseg.records.json_values import without_nan
from equiseg.records.record_files import read_record, write_record

CURVES = "curves.json"
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
    """
    history: History = {}
    for file in log_files(folder):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                epoch = int(row["epoch"]) + 1
                for name, text in row.items():
                    if text and name not in ("epoch", "step"):
                        history.setdefault(name, {})[epoch] = float(text)
    return history


def log_files(folder: Path) -> list[Path]:
    """The log files of a run, the oldest first."""
    return sorted(
        folder.glob("logs/version_*/metrics.csv"), key=lambda f: int(f.parent.name.split("_")[-1])
    )


def read_histories(folders: Mapping[str, Sequence[Path]]) -> Histories:
    """The histories of the runs of each variant, from their logs."""
    return {name: {f.name: read_history(f) for f in paths} for name, paths in folders.items()}


def save_histories(histories: Histories, path: Path) -> None:
    """Write histories as a record."""
    write_record(path, "curves", {"curves": without_nan(histories)})


def load_histories(path: Path) -> Histories:
    """Read what :func:`save_histories` wrote.

    Raises:
        ValueError: If it is no such record, or of a version that is not known.
    """
    known = read_record(path, "curves", ("curves",), "equiseg compare")["curves"]
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
