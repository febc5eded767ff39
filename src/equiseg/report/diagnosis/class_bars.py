"""The IoU of every class as bars, most frequent class first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from equiseg.diagnosis.result import Diagnosis
from equiseg.report.colors import variant_color
from equiseg.report.style import INK, MUTED, STYLE, Illustration, short

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


@rc_context(STYLE)
def class_bar_figure(diagnoses: Mapping[str, Diagnosis]) -> Figure:
    """IoU in percent, a bar for each network in every row; lines part head, common and tail.

    Args:
        diagnoses: Of one network or of several, of the same classes.
    """
    *_, last = diagnoses.values()
    order = [k for _, ids in last.groups for k in ids]
    figure = Figure(figsize=(9.4, 0.8 + 0.22 * len(order)), layout="constrained")
    axes = figure.subplots()
    thickness = 0.8 / len(diagnoses)
    for index, (name, diagnosis) in enumerate(diagnoses.items()):
        iou = 100 * diagnosis.evaluation.score.iou_K[order].cpu().numpy()
        place = np.arange(len(order)) - 0.4 + (index + 0.5) * thickness
        color = variant_color(index + (len(diagnoses) == 1))
        axes.barh(place, np.nan_to_num(iou), 0.9 * thickness, color=color, label=short(name))
    start = 0
    for group, ids in last.groups:
        if ids:
            middle = start + len(ids) / 2 - 0.5
            axes.text(
                1.01, middle, group, color=MUTED, va="center", transform=axes.get_yaxis_transform()
            )
            if start:
                axes.axhline(start - 0.5, color=INK, lw=0.6)
        start += len(ids)
    axes.set_yticks(range(len(order)), [short(last.classes[k]) for k in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("IoU, %")
    axes.tick_params(length=0)
    axes.grid(visible=False, axis="y")
    if len(diagnoses) > 1:
        figure.legend(loc="outside upper left", ncols=len(diagnoses))
    return figure


def class_illustration(diagnoses: Mapping[str, Diagnosis]) -> Illustration:
    """The bars, and the numbers behind them."""
    *_, last = diagnoses.values()
    rows: list[dict[str, Any]] = [
        {
            "class": last.classes[k],
            "group": group,
            **{f"IoU {n}": float(d.evaluation.score.iou_K[k]) for n, d in diagnoses.items()},
        }
        for group, ids in last.groups
        for k in ids
    ]
    known = [row for row in rows if not math.isnan(row[[*row][-1]])]
    lowest = min(known or rows, key=lambda row: float(row[[*row][-1]]))
    return Illustration(
        "classes",
        "Class by class",
        class_bar_figure(diagnoses),
        f"IoU of {' and '.join(diagnoses)}, from the class with most training {last.unit}s to the "
        "one with fewest. A class without a bar is not found at all, or not in this split.",
        rows,
        f"Bars of IoU for {len(rows)} classes; lowest is {lowest['class']}.",
    )
