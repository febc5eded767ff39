"""Every class of a comparison in a figure: its share, its IoU, its paired difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from equiseg.report.colors import variant_color
from equiseg.report.style import INK, MUTED, PAPER, STYLE, short
from equiseg.report.variant_styles import variant_handles, variant_mark
from equiseg.study.comparison import Comparison

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FuncFormatter, LogLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


@rc_context(STYLE)
def class_figure(comparison: Comparison) -> Figure:
    """Every class a row, most frequent first: its share, its IoU, its paired difference.

    Small dots are seeds, large ones their means; bars in the last panel are 95 % intervals.
    """
    variants, order = list(comparison.runs), _order(comparison)
    layout = ConstrainedLayoutEngine(wspace=0.04)
    figure = Figure(figsize=(9.4, 1.0 + _row(comparison) * len(order)), layout=layout)
    widths = [1.2, 4, 3.2] if variants[1:] else [1.2, 4]
    panels = figure.subplots(1, len(widths), sharey=True, width_ratios=widths)
    _draw_shares(panels[0], comparison, order)
    _draw_scores(panels[1], comparison, order)
    if variants[1:]:
        _draw_differences(panels[2], comparison, order)
    _name_classes(panels[0], comparison, order)
    _finish(panels, comparison.groups)
    figure.legend(handles=variant_handles(variants), loc="outside upper left", ncols=len(variants))
    return figure


@rc_context(STYLE)
def narrow_class_figure(comparison: Comparison) -> Figure:
    """The differences, then the IoU, one above the other: for screens as narrow as a phone."""
    variants, order = list(comparison.runs), _order(comparison)
    number = 2 if variants[1:] else 1
    height = 0.5 + _row(comparison) * len(order)
    figure = Figure(figsize=(4.3, 0.3 * len(variants) + number * height), layout="constrained")
    panels = figure.subplots(number, 1, squeeze=False)[:, 0]
    if variants[1:]:
        _draw_differences(panels[0], comparison, order)
    _draw_scores(panels[-1], comparison, order)
    for axes in panels:
        _name_classes(axes, comparison, order)
        _finish([axes], comparison.groups)
    figure.legend(handles=variant_handles(variants), loc="outside upper left", ncols=2)
    return figure


def _draw_shares(axes: Axes, comparison: Comparison, order: Sequence[int]) -> None:
    axes.set_title(f"share of {comparison.unit}s")
    total = max(1, sum(comparison.pixels))
    places = [(y, comparison.pixels[k] / total) for y, k in enumerate(order)]
    seen = [(y, share) for y, share in places if share]
    floor = 10 ** math.floor(math.log10(min((s for _, s in seen), default=0.1)) - 0.15)
    axes.hlines([y for y, _ in seen], floor, [s for _, s in seen], color=MUTED, alpha=0.45, lw=4)
    axes.set_xscale("log")
    axes.set_xlim(floor, 1)
    axes.xaxis.set_major_locator(LogLocator(100))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    axes.xaxis.minorticks_off()


def _draw_scores(axes: Axes, comparison: Comparison, order: Sequence[int]) -> None:
    axes.set_title("IoU, %")
    variants = list(comparison.runs)
    for v, variant in enumerate(variants):
        values = [comparison.class_values(variant, k) for k in order]
        _dots(axes, values, _offset(v, len(variants)), v)
    axes.set_xlim(-1.5)


def _draw_differences(axes: Axes, comparison: Comparison, order: Sequence[int]) -> None:
    axes.set_title(f"difference from {short(comparison.baseline)}, points")
    first, *compared = comparison.runs
    reach = 1.0
    for v, variant in enumerate(compared, start=1):
        offset = _offset(v - 1, len(compared))
        values, ends = [], []
        for y, k in enumerate(order):
            pair = comparison.class_values(variant, k), comparison.class_values(first, k)
            values.append([ours - theirs for ours, theirs in zip(*pair, strict=True)])
            gap = comparison.class_difference(variant, k)
            low, high = 100 * gap.low, 100 * gap.high
            if not math.isnan(low):
                axes.hlines(y + offset, low, high, color=variant_color(v), lw=4.5, alpha=0.3)
                ends.append(max(-low, high))
        _dots(axes, values, offset, v)
        # A few wild intervals must not press all others flat: they run off the edge.
        ends = sorted(ends)[: math.ceil(0.9 * len(ends))]
        seeds = [abs(100 * one) for some in values for one in some if not math.isnan(one)]
        reach = max([reach, *ends, *seeds])
    axes.axvline(0, color=MUTED, lw=0.9)
    axes.set_xlim(-1.08 * reach, 1.08 * reach)


def _order(comparison: Comparison) -> list[int]:
    return [k for ids in comparison.groups.values() for k in ids]


def _row(comparison: Comparison) -> float:
    """Height of a row, in inches."""
    many = sum(map(len, comparison.groups.values())) > 60
    return (0.16 if many else 0.2) + 0.035 * len(comparison.runs)


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
        axes.plot(mean(known), y + offset, mec=PAPER, mew=0.7, zorder=3, **variant_mark(variant))


def _name_classes(axes: Axes, comparison: Comparison, order: Sequence[int]) -> None:
    axes.set_yticks(range(len(order)), [short(comparison.classes[k]) for k in order])
    axes.set_ylim(len(order) - 0.4, -0.6)


def _finish(panels: Sequence[Axes], groups: Mapping[str, Sequence[int]]) -> None:
    """Panels without frames; a deeper shade for rarer groups, their names at the right."""
    for axes in panels:
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
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
