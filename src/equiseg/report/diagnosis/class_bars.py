"""The IoU of every class as bars, most frequent class first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from equiseg.records.diagnosis import DiagnosisRecord
from equiseg.report.colors import variant_color
from equiseg.report.style import INK, MUTED, STYLE, Illustration, short

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


@rc_context(STYLE)
def class_bar_figure(networks: Mapping[str, DiagnosisRecord]) -> Figure:
    """IoU in percent, a bar for each network in every row; lines separate head, common and tail.

    Args:
        networks: Of one network or of several, of the same classes.
    """
    *_, last = networks.values()
    order = [k for ids in last.groups.values() for k in ids]
    figure = Figure(figsize=(9.4, 0.8 + 0.22 * len(order)), layout="constrained")
    axes = figure.subplots()
    thickness = 0.8 / len(networks)
    for index, (name, record) in enumerate(networks.items()):
        iou = 100 * record.iou_K[order]
        place = np.arange(len(order)) - 0.4 + (index + 0.5) * thickness
        color = variant_color(index + (len(networks) == 1))
        axes.barh(place, np.nan_to_num(iou), 0.9 * thickness, color=color, label=short(name))
    start = 0
    for group, ids in last.groups.items():
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
    if len(networks) > 1:
        figure.legend(loc="outside upper left", ncols=len(networks))
    return figure


def class_illustration(networks: Mapping[str, DiagnosisRecord]) -> Illustration:
    """The bars, and the numbers behind them."""
    *_, last = networks.values()
    rows: list[dict[str, Any]] = [
        {
            "class": last.classes[k],
            "group": group,
            **{f"IoU {n}": float(one.iou_K[k]) for n, one in networks.items()},
        }
        for group, ids in last.groups.items()
        for k in ids
    ]
    known = [row for row in rows if not math.isnan(row[[*row][-1]])]
    lowest = min(known or rows, key=lambda row: float(row[[*row][-1]]))
    return Illustration(
        "classes",
        "Class by class",
        class_bar_figure(networks),
        f"IoU of {' and '.join(networks)}, from the class with most training {last.unit}s to the "
        "one with fewest. A class without a bar has an IoU of 0, or is not in this split.",
        rows,
        f"Bars of IoU for {len(rows)} classes; lowest is {lowest['class']}.",
    )
