"""The figures of a comparison, in one style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from equiseg.collapse import Geometry
from equiseg.records.history import Curve, mean_curve, read_history
from equiseg.report.colors import variant_color
from equiseg.report.style import INK, MUTED, PAPER, STYLE, short, variant_marker
from equiseg.report.wording import number
from equiseg.study.comparison import Comparison

try:
    from matplotlib import colormaps, rc_context
    from matplotlib.axes import Axes
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_RULE = "#3c4350"  # upon the colours of a matrix, which stay light on dark paper
_COLLAPSE = {
    "collapse/equiangularity": "equiangularity of the centers",
    "collapse/classifier_equiangularity": "equiangularity of the classifier",
    "collapse/nc1_ratio": "spread within classes over between",
    "collapse/self_duality": "centers against classifier",
}
_NAMED = 30  # beyond this, names of classes at a matrix are too small to read


@rc_context(STYLE)
def class_figure(comparison: Comparison) -> Figure:
    """Every class a row, most frequent first: its share, its IoU, its paired difference.

    Small dots are seeds, large ones their means; bars in the last panel are 95 % intervals.
    """
    variants, order = list(comparison.runs), _order(comparison.groups)
    total = max(1, sum(comparison.pixels))
    compared = variants[1:]
    row = (0.16 if len(order) > 60 else 0.2) + 0.035 * len(variants)  # inches
    layout = ConstrainedLayoutEngine(wspace=0.04)
    figure = Figure(figsize=(9.4, 1.0 + row * len(order)), layout=layout)
    widths = [1.2, 4, 3.2] if compared else [1.2, 4]
    panels = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    shares, scores = panels[0], panels[1]

    shares.set_title(f"share of {comparison.unit}s")
    places = [(y, comparison.pixels[k] / total) for y, k in enumerate(order)]
    seen = [(y, share) for y, share in places if share]
    floor = 10 ** math.floor(math.log10(min((s for _, s in seen), default=0.1)) - 0.15)
    shares.hlines([y for y, _ in seen], floor, [s for _, s in seen], color=MUTED, alpha=0.45, lw=4)
    shares.set_xscale("log")
    shares.set_xlim(floor, 1)
    shares.xaxis.set_major_locator(LogLocator(100))
    shares.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    shares.xaxis.minorticks_off()
    shares.set_yticks(range(len(order)), [short(comparison.classes[k]) for k in order])
    shares.set_ylim(len(order) - 0.4, -0.6)

    scores.set_title("IoU, %")
    for v, variant in enumerate(variants):
        values = [comparison.class_values(variant, k) for k in order]
        _dots(scores, values, _offset(v, len(variants)), v)
    scores.set_xlim(-1.5)
    if compared:
        gaps = panels[2]
        gaps.set_title(f"difference from {short(comparison.baseline)}, points")
        reach = 1.0
        for v, variant in enumerate(compared, start=1):
            offset = _offset(v - 1, len(compared))
            values, ends = [], []
            for y, k in enumerate(order):
                pair = comparison.class_values(variant, k), comparison.class_values(variants[0], k)
                values.append([ours - theirs for ours, theirs in zip(*pair, strict=True)])
                gap = comparison.class_difference(variant, k)
                low, high = 100 * gap.low, 100 * gap.high
                if not math.isnan(low):
                    gaps.hlines(y + offset, low, high, color=variant_color(v), lw=4.5, alpha=0.3)
                    ends.append(max(-low, high))
            _dots(gaps, values, offset, v)
            # A few wild intervals must not press all others flat: they run off the edge.
            ends = sorted(ends)[: math.ceil(0.9 * len(ends))]
            seeds = [abs(100 * one) for some in values for one in some if not math.isnan(one)]
            reach = max([reach, *ends, *seeds])
        gaps.axvline(0, color=MUTED, lw=0.9)
        gaps.set_xlim(-1.08 * reach, 1.08 * reach)

    for axes in panels:
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
    _shade_groups(panels, comparison.groups)
    figure.legend(handles=_handles(variants), loc="outside upper left", ncols=len(variants))
    return figure


@rc_context(STYLE)
def curve_figure(folders: Mapping[str, Sequence[Path]]) -> Figure | None:
    """Validation mIoU and tail, and every part of the loss, over the epochs.

    Args:
        folders: The run folders of each variant, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None when nothing was logged yet.
    """
    histories = _histories(folders)
    logged = {name for runs in histories.values() for run in runs for name in run}
    # The sum is left out when its parts are shown: methods with other parts do not share it.
    parts = sorted(n for n in logged if n.startswith("loss/"))
    titles = {"val/miou": "validation mIoU, %", "val/tail": "validation tail IoU, %"}
    titles |= {n: f"training loss: {n[5:].replace('_', ' ')}" for n in parts}
    return _curves(histories, titles)


@rc_context(STYLE)
def collapse_curve_figure(folders: Mapping[str, Sequence[Path]]) -> Figure | None:
    """Neural collapse of the validation features over the epochs, as training logged it.

    Args:
        folders: The run folders of each variant, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None where none was logged.
    """
    return _curves(_histories(folders), _COLLAPSE)


@rc_context(STYLE)
def cosine_figure(
    geometries: Mapping[str, Geometry],
    classes: Sequence[str],
    groups: Mapping[str, Sequence[int]],
) -> Figure:
    """Cosines between the vectors of the classes beside the simplex they should form.

    White is the ideal -1/(K-1), K the number of classes that are present; absent ones and the
    diagonal are grey.

    Args:
        geometries: Of the centers (or classifier rows) of each variant.
        classes: Names of the classes.
        groups: Class ids of head, common and tail, most frequent first.
    """
    order = _order(groups)
    matrices = {name: _between(geometry, order) for name, geometry in geometries.items()}
    distances = {
        name: f"mean distance {number(geometry.maximal_separation, 1, 3)}"
        for name, geometry in geometries.items()
    }
    ideal = -1 / max(1, max(geometry.num_present for geometry in geometries.values()) - 1)
    matrices["ideal"] = np.where(np.eye(len(order), dtype=bool), np.nan, ideal)
    distances["ideal"] = f"every cosine {number(ideal, 1, 3)}"
    borders = _borders(groups)
    columns = len(matrices) if len(matrices) <= 4 else 3
    rows = math.ceil(len(matrices) / columns)
    names = [short(classes[k], 14) for k in order] if len(order) <= _NAMED else []
    side = 9.4 / columns - (0.35 if names else 0.1)
    figure = Figure(figsize=(9.4, rows * (side + 0.5)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    picture = None
    for axes, (name, matrix) in zip(panels.flat, matrices.items(), strict=False):
        axes.set_title(short(name))
        axes.set_xlabel(distances[name])
        sharp = np.kron(matrix, np.ones((math.ceil(600 / len(order)),) * 2))  # survives scaling
        picture = axes.imshow(
            sharp,
            cmap=colormaps["RdBu_r"].with_extremes(bad="#88909c66"),
            norm=TwoSlopeNorm(ideal, min(-1, ideal - 0.1), 1),
            interpolation="none",
            extent=(-0.5, len(order) - 0.5, len(order) - 0.5, -0.5),
        )
        for border in borders:
            axes.axhline(border - 0.5, color=_RULE, lw=0.6)
            axes.axvline(border - 0.5, color=_RULE, lw=0.6)
        axes.set_xticks([])
        if names:
            axes.set_yticks(range(len(names)), names, size=min(8.5, 150 / len(order)))
        else:
            middles = [(start + end - 1) / 2 for start, end in pairwise([0, *borders, len(order)])]
            axes.set_yticks(middles, list(groups), rotation=90, va="center", color=MUTED)
        axes.tick_params(length=0)
        axes.grid(visible=False)
    for axes in panels.flat[len(matrices) :]:
        axes.set_axis_off()
    assert picture is not None
    bar = figure.colorbar(picture, ax=panels, shrink=0.6, aspect=30, pad=0.01)
    bar.set_ticks([-1, ideal, 1], labels=["−1", "ideal", "1"])
    bar.ax.tick_params(length=0, labelcolor=MUTED)
    bar.outline.set_visible(False)
    return figure


def _order(groups: Mapping[str, Sequence[int]]) -> list[int]:
    return [k for ids in groups.values() for k in ids]


def _borders(groups: Mapping[str, Sequence[int]]) -> list[int]:
    """Where one group ends and the next starts, in the order of the classes."""
    sizes = np.cumsum([len(ids) for ids in groups.values()])
    return [int(size) for size in sizes[:-1]]


def _between(geometry: Geometry, order: list[int]) -> np.ndarray:
    """(K, K) cosines in an order of the classes; NaN on the diagonal and where one is absent."""
    cosines: np.ndarray = geometry.cosines_KK.cpu().numpy()[np.ix_(order, order)].copy()
    np.fill_diagonal(cosines, np.nan)
    return cosines


def _offset(index: int, number: int) -> float:
    """Place of one of ``number`` marks within a row of height 1."""
    return (index - (number - 1) / 2) * min(0.3, 0.72 / number)


def _dots(axes: Axes, values: Sequence[Sequence[float]], offset: float, variant: int) -> None:
    """Each row's values in percent as small dots, their mean as a large mark."""
    color = variant_color(variant)
    for y, row in enumerate(values):
        known = [100 * value for value in row if not math.isnan(value)]
        if not known:
            continue
        if len(known) > 1:
            axes.plot(known, [y + offset] * len(known), "o", ms=2.4, color=color, alpha=0.5, mew=0)
        axes.plot(mean(known), y + offset, mec=PAPER, mew=0.7, zorder=3, **_mark(variant))


def _histories(folders: Mapping[str, Sequence[Path]]) -> dict[str, list[dict[str, Curve]]]:
    return {name: [read_history(f) for f in paths] for name, paths in folders.items()}


def _curves(
    histories: Mapping[str, Sequence[dict[str, Curve]]], titles: Mapping[str, str]
) -> Figure | None:
    """A panel for each title of which something was logged; None where nothing was."""
    logged = {name for runs in histories.values() for run in runs for name in run}
    shown = [name for name in titles if name in logged]
    if not shown:
        return None
    rows = math.ceil(len(shown) / 2)
    figure = Figure(figsize=(9.4, 0.5 + 2.5 * rows), layout="constrained")
    grid = list(figure.subplots(rows, 2, sharex=True, squeeze=False).flat)
    for axes, name in zip(grid, shown, strict=False):
        axes.set_title(titles[name])
        scale = 100 if name.startswith("val/") else 1
        for v, runs in enumerate(histories.values()):
            curves = [run[name] for run in runs if name in run]
            for curve in curves:
                _line(axes, curve, scale, color=variant_color(v), lw=0.8, alpha=0.45)
            # A mark at the end of the mean tells the lines apart without their colours.
            mark = _mark(v) | {"mec": PAPER, "mew": 0.7, "markevery": [-1]}
            _line(axes, mean_curve(curves), scale, lw=2.2, **mark)
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        top = axes.get_ylim()[1]
        axes.set_ylim(-0.02 * top, 1.05 * top)
    if len(shown) % 2:
        grid[-1].set_axis_off()
        for above in grid[-3:-2]:  # if there is one, it is now the lowest of its column
            above.tick_params(labelbottom=True)
    figure.supxlabel("epoch", size=9, color=MUTED)
    figure.legend(handles=_handles(list(histories)), loc="outside upper left", ncols=len(histories))
    return figure


def _line(axes: Axes, curve: Curve, scale: float, **style: Any) -> None:
    known = {epoch: scale * value for epoch, value in curve.items() if not math.isnan(value)}
    if len(known) == 1:  # a line of one point is invisible
        style = {"marker": "o", "ms": 2 * style["lw"]} | style
    if known:
        axes.plot(list(known), list(known.values()), solid_capstyle="round", **style)


def _mark(variant: int) -> dict[str, Any]:
    """How a variant is marked."""
    marker = variant_marker(variant)
    size = 4.6 if marker == "D" else 5.4  # a diamond is as wide as a square's diagonal
    return {"marker": marker, "ms": size, "color": variant_color(variant)}


def _handles(variants: Sequence[str]) -> list[Line2D]:
    """Legend marks of the variants."""
    return [
        Line2D([], [], ls="", mew=0, label=short(name), **_mark(v))
        for v, name in enumerate(variants)
    ]


def _shade_groups(panels: Sequence[Axes], groups: Mapping[str, Sequence[int]]) -> None:
    """Deeper shade for rarer groups, their names at the right."""
    top = -0.5
    for depth, (name, ids) in zip((0.0, 0.035, 0.08), groups.items(), strict=True):
        if not ids:
            continue
        bottom = top + len(ids)
        for axes in panels:
            axes.axhspan(top, bottom, color=INK, alpha=depth, lw=0, zorder=0)
        where = panels[-1].get_yaxis_transform()
        panels[-1].text(1.02, (top + bottom) / 2, name, va="center", color=MUTED, transform=where)
        top = bottom
