"""Validation curves of one method on every task."""

from __future__ import annotations

import math
from typing import Any

from equiseg.records.history import Curve, Histories, mean_curve
from equiseg.report.colors import variant_color
from equiseg.report.style import MUTED, PAPER, STYLE, short, variant_marker

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_COLUMNS = 3


@rc_context(STYLE)
def convergence_figure(histories: Histories) -> Figure | None:
    """Validation mIoU and tail of one method on every task, over the epochs.

    Args:
        histories: Of each task the runs of the method, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None where nothing was logged.
    """
    named = {task: [*runs.values()] for task, runs in histories.items()}
    shown = {task: runs for task, runs in named.items() if any("val/miou" in r for r in runs)}
    if not shown:
        return None
    columns = min(_COLUMNS, max(2, len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(9.4, 0.6 + 2.4 * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    styles = {"val/miou": ("mIoU", 1), "val/tail": ("tail", 2)}
    for axes, (task, runs) in zip(grid, shown.items(), strict=False):
        axes.set_title(short(task, 30))
        for name, (_, color) in styles.items():
            curves = [run[name] for run in runs if name in run]
            look: dict[str, Any] = {"color": variant_color(color), "marker": variant_marker(color)}
            for curve in curves if len(curves) > 1 else ():
                _line(axes, curve, lw=0.8, alpha=0.45, ms=2.4, mew=0, **look)
            _line(axes, mean_curve(curves), lw=2.2, ms=5, mec=PAPER, mew=0.7, **look)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("epoch", size=9, color=MUTED)
    handles = [
        Line2D([], [], lw=2.2, color=variant_color(c), marker=variant_marker(c), label=label)
        for label, c in styles.values()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def _line(axes: Axes, curve: Curve, **style: Any) -> None:
    known = {epoch: 100 * value for epoch, value in curve.items() if not math.isnan(value)}
    axes.plot(list(known), list(known.values()), solid_capstyle="round", **style)
