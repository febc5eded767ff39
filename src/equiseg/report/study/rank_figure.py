"""Critical-difference diagrams: mean ranks, and which of them do not differ significantly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from equiseg.report.study.method_styles import method_mark
from equiseg.report.style import INK, MUTED, STYLE, short
from equiseg.study.ranking import cliques, critical_difference, mean_ranks

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


@rc_context(STYLE)
def rank_figure(
    scores: Mapping[str, Mapping[str, Sequence[float]]], methods: Sequence[str]
) -> Figure:
    """Critical-difference diagrams (Demšar 2006): mean ranks, and their groups.

    Bars join methods that do not differ significantly.

    Args:
        scores: For each title, and each of two tasks or more, the score of every method.
        methods: Their names.
    """
    rows = math.ceil(len(methods) / 2)
    height = 1.15 + 0.21 * rows
    figure = Figure(figsize=(9.4, len(scores) * height), layout="constrained")
    panels = figure.subplots(len(scores), 1, squeeze=False)[:, 0]
    for axes, (title, by_task) in zip(panels, scores.items(), strict=True):
        axes.set_title(title)
        ranks = mean_ranks([*by_task.values()])
        _critical_difference(axes, ranks, len(by_task), methods)
    return figure


def _critical_difference(
    axes: Axes, ranks: Sequence[float], num_tasks: int, methods: Sequence[str]
) -> None:
    """One diagram: the axis of ranks on top, names below on either side, bars between."""
    number, difference = len(ranks), critical_difference(len(ranks), num_tasks)
    groups = cliques(ranks, difference)
    order = sorted(range(number), key=lambda m: ranks[m])
    axes.set_xlim(1 - 0.36 * (number - 1), number + 0.36 * (number - 1))
    first = 0.55 + 0.3 * len(groups)  # the row of the first name, below the bars
    rows = math.ceil(number / 2)
    axes.set_ylim(first + 0.75 * rows, -1.3)
    axes.set_axis_off()
    axes.plot([1, number], [0, 0], color=INK, lw=0.9, solid_capstyle="butt")
    for rank in range(1, number + 1):
        axes.plot([rank, rank], [0, -0.15], color=INK, lw=0.9)
        axes.text(rank, -0.25, str(rank), ha="center", va="bottom", size=8, color=MUTED)
    if difference <= number - 1:
        axes.plot([1, 1 + difference], [-0.95] * 2, color=INK, lw=2.2, solid_capstyle="butt")
        where, align = 1 + difference / 2, "center"
    else:
        where, align = 1.0, "left"
    wide = " (more than the axis is wide)" * (difference > number - 1)
    axes.text(
        where, -1.05, f"critical difference {difference:.1f}{wide}", ha=align, va="bottom", size=8
    )
    for place, m in enumerate(order):
        left = place < rows
        row = first + 0.75 * (place if left else number - 1 - place)
        edge = 1 - 0.03 * (number - 1) if left else number + 0.03 * (number - 1)
        axes.plot([ranks[m], ranks[m], edge], [0, row, row], color=MUTED, lw=0.8, zorder=1)
        axes.plot(ranks[m], 0, ls="", zorder=3, clip_on=False, **method_mark(m))
        near = 0.012 * (number - 1) * (-1 if left else 1)
        text = f"{short(methods[m])}  {ranks[m]:.1f}" if left else f"{ranks[m]:.1f}  {methods[m]}"
        axes.text(edge + near, row, text, ha="right" if left else "left", va="center", size=8.5)
    for depth, group in enumerate(groups):
        ends = ranks[group[0]] - 0.06, ranks[group[-1]] + 0.06
        axes.plot(ends, [0.38 + 0.3 * depth] * 2, color=INK, lw=3, solid_capstyle="butt", zorder=2)
