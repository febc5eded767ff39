"""What a run logged, epoch by epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Curve = dict[int, float]


def read_history(folder: Path) -> dict[str, Curve]:
    """The logged values of one run: for each name, epoch (from 1) to value.

    A resumed run logs to a new file and may repeat an epoch: the last value counts.

    Args:
        folder: The folder of a run, with logs/version_*/metrics.csv. Empty if there is none.
    """
    history: dict[str, Curve] = {}
    files = sorted(
        folder.glob("logs/version_*/metrics.csv"), key=lambda f: int(f.parent.name.split("_")[-1])
    )
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                epoch = int(row["epoch"]) + 1
                for name, text in row.items():
                    if text and name not in ("epoch", "step"):
                        history.setdefault(name, {})[epoch] = float(text)
    return history


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over runs, at the epochs that all of them have reached."""
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    means = {epoch: sum(c[epoch] for c in curves) / len(curves) for epoch in sorted(shared)}
    return {epoch: value for epoch, value in means.items() if not math.isnan(value)}


def history_rows(
    folders: Mapping[str, Sequence[Path]], kinds: tuple[str, ...]
) -> list[dict[str, Any]]:
    """What runs logged as the rows of a CSV: one for each variant, run and epoch.

    Args:
        folders: The run folders of each variant.
        kinds: How the names of the wanted values begin, as "val/".
    """
    rows = []
    for variant, paths in folders.items():
        for folder in paths:
            history = read_history(folder)
            curves = {name: history[name] for name in sorted(history) if name.startswith(kinds)}
            for epoch in sorted({epoch for curve in curves.values() for epoch in curve}):
                values = {n: curve[epoch] for n, curve in curves.items() if epoch in curve}
                rows.append({"variant": variant, "run": folder.name, "epoch": epoch, **values})
    return rows
