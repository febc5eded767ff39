"""The figures of a data set: class imbalance, adjacency and co-occurrence."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from equiseg.records.data_statistics import DataStatistics
from equiseg.report.colors import variant_color
from equiseg.report.dataset.wording import factor
from equiseg.report.style import INK, MUTED, STYLE, Illustration, short

try:
    from matplotlib import colormaps, rc_context
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_RULE = "#3c4350"  # upon the colours of a matrix, which stay light on dark paper
_NAMED = 60  # beyond this, names of classes at a matrix are too small to read
_MOST_BARS = 500  # beyond this, a bar is thinner than a pixel, and drawing all takes minutes
_MOST_PAIRS = 100_000  # rows of the numbers of a map; the rarest pairs are left out
_LEAST_SHARE = 1e-3


def data_illustrations(data: DataStatistics) -> list[Illustration]:
    """All figures that the counts allow; without context there are no maps."""
    figures = [_frequencies(data)]
    if data.adjacency_KK is not None and data.cooccurrence_KK is not None:
        borders_KK = data.adjacency_KK.copy()
        np.fill_diagonal(borders_KK, 0)
        unit = data.unit if data.voxel_size is None else "voxel"
        figures += [
            _map(
                data,
                borders_KK,
                "adjacency",
                "Class adjacency",
                f"Of the {unit} borders of the class of a row, the share with the class of the "
                "column; each row adds up to 100 %. Neighbours of the same class are left out.",
            ),
            _map(
                data,
                data.cooccurrence_KK,
                "cooccurrence",
                "Class co-occurrence",
                f"Of the {data.sample}s that hold the class of the row, the share that also hold "
                "the class of the column.",
                total_K=data.images_K,
            ),
        ]
    return figures


def _frequencies(data: DataStatistics) -> Illustration:
    caption = (
        "Every class relative to the most frequent one of each panel, on one logarithmic scale, "
        "most frequent class first: the longer the shortest bar, the more balanced the classes. "
        "Most frequent over rarest: "
        f"{', '.join(f'{level.name} {factor(level.imbalance_factor)}' for level in data.levels)}"
        f". Centers are the number expected in a batch of {data.batch_size} {data.sample}s drawn "
        "at random."
    )
    rows = data.class_rows
    figure = frequency_figure(data)
    return Illustration("frequencies", "Class imbalance", figure, caption, rows)


@rc_context(STYLE)
def frequency_figure(data: DataStatistics) -> Figure:
    """Every class a row, most frequent first; pixels, regions, images and centers as panels.

    More than 500 classes are an area without names.
    """
    order = [k for ids in data.groups.values() for k in ids]
    levels = data.levels
    row = 0.13 if len(order) > 60 else 0.2  # inches
    many = len(order) > _MOST_BARS
    figure = Figure(figsize=(9.4, 8 if many else 0.9 + row * len(order)), layout="constrained")
    panels = figure.subplots(1, len(levels), sharex=True, sharey=True)
    relative = [level.relative()[order] for level in levels]
    least = min(float(shares[shares > 0].min(initial=1.0)) for shares in relative)
    floor = 10 ** (math.floor(math.log10(least)) - 0.15)
    ends = np.cumsum([len(ids) for ids in data.groups.values()]) - 0.5
    for index, (axes, level, shares) in enumerate(zip(panels, levels, relative, strict=True)):
        axes.set_title(f"{level.name}  {factor(level.imbalance_factor)} : 1")
        color = variant_color(1 if index + 1 == len(levels) else 0)
        seen = np.flatnonzero(shares > 0)
        if many:
            axes.fill_betweenx(seen, floor, shares[seen], color=color, linewidth=0)
        else:
            axes.barh(seen, shares[seen] - floor, left=floor, height=0.72, color=color)
        axes.set_xscale("log")
        axes.set_xlim(floor, 1.15)
        axes.xaxis.set_major_locator(LogLocator(100 if floor < 1e-3 else 10))
        axes.xaxis.set_major_formatter(FuncFormatter(_fraction))
        axes.xaxis.minorticks_off()
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        for end in ends[:-1]:
            axes.axhline(end, color=MUTED, lw=0.6)
    names = [] if many else [short(data.classes[k]) for k in order]
    panels[0].set_yticks(range(len(names)), names, size=6.5 if len(order) > 60 else None)
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    _name_groups(panels[-1], data)
    return figure


def _map(
    data: DataStatistics,
    pairs_KK: np.ndarray,
    name: str,
    title: str,
    caption: str,
    total_K: np.ndarray | None = None,
) -> Illustration:
    """A figure of pairs of classes, in shares of the total of a row."""
    total_K = pairs_KK.sum(1) if total_K is None else total_K
    with np.errstate(divide="ignore", invalid="ignore"):
        shares_KK = pairs_KK / total_K[:, None].astype(float)
    np.fill_diagonal(shares_KK, np.nan)
    order = [k for ids in data.groups.values() for k in ids]
    numbers: list[dict[str, Any]] = [
        {
            "class": data.classes[i],
            "other": data.classes[j],
            "count": int(pairs_KK[i, j]),
            "share": float(shares_KK[i, j]),
        }
        for i, j in _shown_pairs(pairs_KK, order)
    ]
    figure = map_figure(data, shares_KK, logarithmic=name == "adjacency")
    return Illustration(name, title, figure, caption + _scale(name), numbers)


@rc_context(STYLE)
def map_figure(data: DataStatistics, shares_KK: np.ndarray, *, logarithmic: bool) -> Figure:
    """(K, K) shares in the order of frequency; NaN, such as the diagonal, is grey.

    Args:
        data: The classes.
        shares_KK: Shares, 0 to 1.
        logarithmic: Whether the scale is logarithmic, to show small shares too.
    """
    order = [k for ids in data.groups.values() for k in ids]
    ordered = shares_KK[np.ix_(order, order)]
    named = len(order) <= _NAMED
    figure = Figure(figsize=(9.4, min(8.2, 2.4 + 0.36 * len(order))), layout="compressed")
    axes = figure.subplots()
    bounds = LogNorm(_LEAST_SHARE, 1, clip=True) if logarithmic else Normalize(0, 1)
    picture = axes.imshow(
        np.kron(ordered, np.ones((math.ceil(600 / len(order)),) * 2)),  # survives scaling
        cmap=colormaps["YlGnBu"].with_extremes(bad="#88909c66"),
        norm=bounds,
        interpolation="none",
        extent=(-0.5, len(order) - 0.5, len(order) - 0.5, -0.5),
    )
    for end in np.cumsum([len(ids) for ids in data.groups.values()])[:-1] - 0.5:
        axes.axhline(end, color=_RULE, lw=0.6)
        axes.axvline(end, color=_RULE, lw=0.6)
    if named:
        names = [short(data.classes[k]) for k in order]
        size = min(8.5, 330 / len(order))
        axes.set_yticks(range(len(order)), names, size=size)
        axes.set_xticks(range(len(order)), names, size=size, rotation=90, color=INK)
    else:
        bounds_of = [0, *np.cumsum([len(ids) for ids in data.groups.values()]).tolist()]
        middles = [(start + end - 1) / 2 for start, end in pairwise(bounds_of)]
        groups = list(data.groups)
        axes.set_yticks(middles, groups, rotation=90, va="center", color=MUTED)
        axes.set_xticks(middles, groups, color=MUTED)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=30, pad=0.02)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=0, labelcolor=MUTED)
    bar.outline.set_visible(False)
    return figure


def _shown_pairs(pairs_KK: np.ndarray, order: list[int]) -> list[tuple[int, int]]:
    """All pairs of different classes in their order, or the most frequent of very many."""
    if len(order) ** 2 <= _MOST_PAIRS:
        return [(i, j) for i in order for j in order if i != j]
    ordered = pairs_KK[np.ix_(order, order)].copy()
    np.fill_diagonal(ordered, 0)
    most = np.sort(np.argpartition(-ordered, _MOST_PAIRS, axis=None)[:_MOST_PAIRS])
    rows, columns = np.unravel_index(most[ordered.flat[most] > 0], ordered.shape)
    return [(order[i], order[j]) for i, j in zip(rows, columns, strict=True)]


def _scale(name: str) -> str:
    if name == "adjacency":
        return (
            f" The scale is logarithmic; shares below {100 * _LEAST_SHARE:g} % are as light as 0."
        )
    return " The diagonal and rows of absent classes are grey."


def _fraction(value: float, _: object) -> str:
    return "1" if value >= 1 else f"1/{1 / value:,.0f}"


def _name_groups(axes: Axes, data: DataStatistics) -> None:
    """Names of the groups at the right of the last panel."""
    top = -0.5
    for name, ids in data.groups.items():
        if ids:
            where = axes.get_yaxis_transform()
            middle = top + len(ids) / 2
            axes.text(1.03, middle, name, va="center", color=MUTED, transform=where)
        top += len(ids)
