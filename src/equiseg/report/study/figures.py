"""The figures of a study: changes of tail, head and accuracy, and their cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equiseg.report.label_placement import name_marks
from equiseg.report.study.method_styles import method_color, method_handles, method_mark
from equiseg.report.style import INK, MUTED, STYLE, short
from equiseg.study.interval import Interval

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

Changes = Mapping[str, Mapping[str, Interval]]
"""Of each score the change that each method but the baseline makes."""

_AXIS = {
    "tail": "change of the tail IoU, points",
    "head": "change of the head IoU, points",
    "pixel_accuracy": "change of the pixel accuracy, points",
}
_AGAINST = {"head": "head", "pixel_accuracy": "pixel accuracy"}
_COST = {"step_seconds": "time of a step", "peak_memory_bytes": "memory"}
_COLUMNS = 3


@rc_context(STYLE)
def decision_figure(overall: Changes, tasks: Mapping[str, Changes], baseline: str) -> Figure:
    """Change of the tail against change of the head and of the pixel accuracy.

    Args:
        overall: Changes over all tasks of "tail", "head" and "pixel_accuracy", as fractions.
        tasks: The same for each task; a single task has no panel of its own.
        baseline: The method at 0, 0.

    Returns:
        Two named panels for all tasks, then a small one of tail against head for each.
    """
    small = len(tasks) if len(tasks) > 1 else 0
    rows = math.ceil(small / _COLUMNS)
    methods = [*overall["tail"]]
    lines = math.ceil((len(methods) + 1) / 5)
    figure = Figure(figsize=(9.4, 4.6 + 0.22 * lines + 2.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + rows, 6, height_ratios=[4.2, *[2.6] * rows])
    large = [figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])]
    crossed = []
    where = "over all tasks: " if small else ""
    for axes, metric in zip(large, _AGAINST, strict=True):
        axes.set_title(f"{where}tail against {_AGAINST[metric]}")
        crossed.append(_crosses(axes, overall[metric], overall["tail"]))
        axes.set_xlabel(_AXIS[metric])
    large[0].set_ylabel(_AXIS["tail"])
    for index, (task, changes) in enumerate(tasks.items() if small else ()):
        column = 2 * (index % _COLUMNS)
        axes = figure.add_subplot(grid[1 + index // _COLUMNS, column : column + 2])
        axes.set_title(short(task, 30))
        _crosses(axes, changes["head"], changes["tail"])
        axes.set_xlabel(_AXIS["head"])
        if not column:
            axes.set_ylabel(_AXIS["tail"])
    figure.legend(handles=method_handles([baseline, *methods]), loc="outside upper left", ncols=5)
    figure.draw_without_rendering()  # only now are the places of the marks known
    for axes, metric, lines_N2 in zip(large, _AGAINST, crossed, strict=True):
        x, y = overall[metric], overall["tail"]
        marks = [(short(n), 100 * x[n].mean, 100 * y[n].mean) for n in methods]
        known = [mark for mark in marks if not math.isnan(mark[1] + mark[2])]
        # From the edges inwards: those in the thick of it find no place anyway.
        known.sort(key=lambda mark: -abs(mark[2]))
        name_marks(axes, [*known, (short(baseline), 0, 0)], lines_N2)
    return figure


@rc_context(STYLE)
def cost_figure(
    tail: Mapping[str, Interval],
    costs: Mapping[str, Mapping[str, Sequence[float]]],
    baseline: str,
) -> Figure:
    """Change of the tail against the cost of a method.

    Args:
        tail: Change that each method but the baseline makes, as a fraction.
        costs: For "step_seconds" and "peak_memory_bytes", as far as they were measured, the cost
            of each of these methods on each task relative to the baseline.
        baseline: The method at 1, 0.

    Returns:
        Marks at the geometric mean over tasks, thin lines from the least to the most.
    """
    lines = math.ceil((len(tail) + 1) / 5)
    figure = Figure(figsize=(9.4, 3.7 + 0.22 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    crossed = []
    for axes, (key, ratios) in zip(panels, costs.items(), strict=True):
        axes.set_title(f"tail against {_COST[key]}")
        axes.set_xlabel(f"{_COST[key]}, relative to {short(baseline)}")
        across = {name: _range(values) for name, values in ratios.items()}
        crossed.append(_crosses(axes, across, tail, origin=1, scale=1))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
    panels[0].set_ylabel(_AXIS["tail"])
    figure.legend(handles=method_handles([baseline, *tail]), loc="outside upper left", ncols=5)
    figure.draw_without_rendering()
    for axes, ratios, lines_N2 in zip(panels, costs.values(), crossed, strict=True):
        marks = [(short(n), _range(ratios[n]).mean, 100 * tail[n].mean) for n in tail]
        known = [mark for mark in marks if not math.isnan(mark[1] + mark[2])]
        known.sort(key=lambda mark: -mark[1])
        name_marks(axes, [*known, (short(baseline), 1, 0)], lines_N2)
    return figure


def _crosses(
    axes: Axes,
    across: Mapping[str, Interval],
    up: Mapping[str, Interval],
    origin: float = 0,
    scale: float = 100,
) -> np.ndarray:
    """A mark for each method with its intervals as a cross, the baseline where the axes meet.

    Args:
        axes: Where to draw.
        across: Horizontally, times ``scale``.
        up: Vertically, as fractions.
        origin: Where the baseline is, horizontally.
        scale: Of the horizontal values.

    Returns:
        (N, 2) points along the lines, which names should leave free.
    """
    axes.axhline(0, color=MUTED, lw=0.9, zorder=1)
    axes.axvline(origin, color=MUTED, lw=0.9, zorder=1)
    axes.plot(origin, 0, ls="", zorder=3, **method_mark(0))
    ends: tuple[list[float], list[float]] = ([], [])
    middles: tuple[list[float], list[float]] = ([origin], [0.0])
    crossed = []
    for index, name in enumerate(up, start=1):
        x, y = across[name], up[name]
        point = scale * x.mean, 100 * y.mean
        if math.isnan(sum(point)):
            continue
        style: dict[str, Any] = {
            "color": method_color(index),
            "lw": 1.1,
            "alpha": 0.4,
            "zorder": 2,
        }
        if not math.isnan(x.low):
            axes.hlines(point[1], scale * x.low, scale * x.high, **style)
            steps = np.linspace(scale * x.low, scale * x.high, 60)
            crossed.append(np.stack([steps, np.full(60, point[1])], 1))
            ends[0].extend((scale * x.low, scale * x.high))
        if not math.isnan(y.low):
            axes.vlines(point[0], 100 * y.low, 100 * y.high, **style)
            steps = np.linspace(100 * y.low, 100 * y.high, 60)
            crossed.append(np.stack([np.full(60, point[0]), steps], 1))
            ends[1].extend((100 * y.low, 100 * y.high))
        axes.plot(*point, ls="", zorder=4, **method_mark(index))
        for values, value in zip(middles, point, strict=True):
            values.append(value)
    axes.set_xlim(*_limits(middles[0], ends[0]))
    axes.set_ylim(*_limits(middles[1], ends[1]))
    if scale == 100:  # better on both counts: above, and to the right
        (_, right), (_, top) = axes.get_xlim(), axes.get_ylim()
        axes.fill([0, right, right, 0], [0, 0, top, top], color=INK, alpha=0.04, lw=0, zorder=0)
    axes.tick_params(length=0, labelcolor=MUTED)
    return np.concatenate(crossed) if crossed else np.zeros((0, 2))


def _limits(middles: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """Limits that hold all marks, and intervals unless they are wild: those run off the edge."""
    spread = max(middles) - min(middles)
    near = [e for e in ends if min(middles) - 0.6 * spread <= e <= max(middles) + 0.6 * spread]
    low, high = min([*middles, *near]), max([*middles, *near])
    margin = 0.06 * (high - low) or 0.1
    return low - margin, high + margin


def _range(ratios: Sequence[float]) -> Interval:
    """Geometric mean, least and most; NaN of nothing."""
    if not ratios:
        return Interval(math.nan)
    return Interval(math.exp(float(np.mean(np.log(ratios)))), min(ratios), max(ratios))
