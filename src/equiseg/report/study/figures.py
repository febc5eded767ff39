"""The figures of a study: what each method wins and loses, its rank, its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equiseg.records.history import Curve, mean_curve, read_history
from equiseg.report.colors import variant_color
from equiseg.report.name_marks import name_marks
from equiseg.report.style import INK, MUTED, PAPER, STYLE, short, variant_marker
from equiseg.study.interval import Interval
from equiseg.study.ranking import cliques, critical_difference, mean_ranks

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

Changes = Mapping[str, Mapping[str, Interval]]
"""Of each score the change that each method but the baseline makes."""

_AXIS = {
    "tail": "change of the tail IoU, points",
    "head": "change of the head IoU, points",
    "pixel_accuracy": "change of the accuracy of all pixels, points",
}
_AGAINST = {"head": "head", "pixel_accuracy": "accuracy of all pixels"}
_COST = {"step_seconds": "time of a step", "peak_memory_bytes": "memory"}
_COLUMNS = 3


@rc_context(STYLE)
def decision_figure(overall: Changes, tasks: Mapping[str, Changes], baseline: str) -> Figure:
    """Change of the tail against change of the head and of the pixel accuracy.

    Args:
        overall: Changes over all tasks of "tail", "head" and "pixel_accuracy", as fractions.
        tasks: The same for each task; of one task nothing besides ``overall`` is drawn.
        baseline: Name of what stands at 0, 0.

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
    figure.legend(handles=_handles([baseline, *methods]), loc="outside upper left", ncols=5)
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
def rank_figure(
    scores: Mapping[str, Mapping[str, Sequence[float]]], methods: Sequence[str]
) -> Figure:
    """Critical-difference diagrams (Demšar 2006): mean ranks, bars join what is not told apart.

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


@rc_context(STYLE)
def cost_figure(
    tail: Mapping[str, Interval],
    costs: Mapping[str, Mapping[str, Sequence[float]]],
    baseline: str,
) -> Figure:
    """Change of the tail against what a method costs.

    Args:
        tail: Change that each method but the baseline makes, as a fraction.
        costs: For "step_seconds" and "peak_memory_bytes", as far as they were measured, what each
            of these methods takes on each task over what the baseline takes.
        baseline: Name of what stands at 1, 0.

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
        axes.set_xlabel(f"{_COST[key]}, times that of {short(baseline)}")
        across = {name: _range(values) for name, values in ratios.items()}
        crossed.append(_crosses(axes, across, tail, origin=1, scale=1))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))
    panels[0].set_ylabel(_AXIS["tail"])
    figure.legend(handles=_handles([baseline, *tail]), loc="outside upper left", ncols=5)
    figure.draw_without_rendering()
    for axes, ratios, lines_N2 in zip(panels, costs.values(), crossed, strict=True):
        marks = [(short(n), _range(ratios[n]).mean, 100 * tail[n].mean) for n in tail]
        known = [mark for mark in marks if not math.isnan(mark[1] + mark[2])]
        known.sort(key=lambda mark: -mark[1])
        name_marks(axes, [*known, (short(baseline), 1, 0)], lines_N2)
    return figure


@rc_context(STYLE)
def convergence_figure(folders: Mapping[str, Sequence[Path]]) -> Figure | None:
    """Validation mIoU and tail of one method on every task, over the epochs.

    Args:
        folders: Of each task the folders of its runs, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None where nothing was logged.
    """
    histories = {task: [read_history(f) for f in paths] for task, paths in folders.items()}
    shown = {task: runs for task, runs in histories.items() if any("val/miou" in r for r in runs)}
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
    axes.plot(origin, 0, ls="", zorder=3, **_mark(0))
    ends: tuple[list[float], list[float]] = ([], [])
    middles: tuple[list[float], list[float]] = ([origin], [0.0])
    crossed = []
    for index, name in enumerate(up, start=1):
        x, y = across[name], up[name]
        point = scale * x.mean, 100 * y.mean
        if math.isnan(sum(point)):
            continue
        style: dict[str, Any] = {
            "color": _color(index),
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
        axes.plot(*point, ls="", zorder=4, **_mark(index))
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
        axes.plot(ranks[m], 0, ls="", zorder=3, clip_on=False, **_mark(m))
        near = 0.012 * (number - 1) * (-1 if left else 1)
        text = f"{short(methods[m])}  {ranks[m]:.1f}" if left else f"{ranks[m]:.1f}  {methods[m]}"
        axes.text(edge + near, row, text, ha="right" if left else "left", va="center", size=8.5)
    for depth, group in enumerate(groups):
        ends = ranks[group[0]] - 0.06, ranks[group[-1]] + 0.06
        axes.plot(ends, [0.38 + 0.3 * depth] * 2, color=INK, lw=3, solid_capstyle="butt", zorder=2)


def _range(ratios: Sequence[float]) -> Interval:
    """Geometric mean, least and most; NaN of nothing."""
    if not ratios:
        return Interval(math.nan)
    return Interval(math.exp(float(np.mean(np.log(ratios)))), min(ratios), max(ratios))


def _line(axes: Axes, curve: Curve, **style: Any) -> None:
    known = {epoch: 100 * value for epoch, value in curve.items() if not math.isnan(value)}
    axes.plot(list(known), list(known.values()), solid_capstyle="round", **style)


def _color(method: int) -> str:
    """Only the baseline is grey, however many there are."""
    return variant_color(1 + (method - 1) % 6 if method else 0)


def _mark(method: int) -> dict[str, Any]:
    """How a method is marked; marks come again after seven, hollow."""
    color, marker = _color(method), variant_marker(method)
    size = 4.8 if marker == "D" else 5.8
    if method // 7 % 2:
        return {"marker": marker, "ms": size - 0.8, "color": color, "mfc": PAPER, "mew": 1.6}
    return {"marker": marker, "ms": size, "color": color, "mec": PAPER, "mew": 0.7}


def _handles(methods: Sequence[str]) -> list[Line2D]:
    return [Line2D([], [], ls="", label=short(n), **_mark(m)) for m, n in enumerate(methods)]
