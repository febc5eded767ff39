"""The figures of a data set: how uneven its classes are, and how they lie together."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from equiseg.data.statistics.profile import DataProfile
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
_LEAST_SHARE = 1e-3


def data_illustrations(profile: DataProfile) -> list[Illustration]:
    """All figures that the counts allow; without context there are no maps."""
    figures = [_frequencies(profile)]
    if (context := profile.counts.context) is not None:
        borders = context.adjacency_without_self()
        unit = profile.unit if profile.voxel_size is None else "voxel"
        figures += [
            _map(
                profile,
                borders,
                "adjacency",
                "Which classes touch",
                f"Of the {unit} borders of the class of a row, the share with the class of the "
                "column; each row adds up to 100 %. Neighbours of the same class are left out.",
            ),
            _map(
                profile,
                context.cooccurrence_KK,
                "cooccurrence",
                "Which classes come together",
                f"Of the {profile.sample}s that hold the class of the row, the share that hold "
                "that of the column too.",
                total_K=profile.statistics.images_K,
            ),
        ]
    return figures


def _frequencies(profile: DataProfile) -> Illustration:
    caption = (
        "Every class against the commonest of each panel, on one logarithmic scale, most frequent "
        "class first: the longer the shortest bar, the more even they are. Commonest over rarest: "
        f"{', '.join(f'{level.name} {factor(level.imbalance_factor)}' for level in profile.levels)}"
        ". Centers are those to be expected in a batch of "
        f"{profile.batch_size} {profile.sample}s drawn at random."
    )
    rows = profile.class_rows()
    figure = frequency_figure(profile)
    return Illustration("frequencies", "How uneven the classes are", figure, caption, rows)


@rc_context(STYLE)
def frequency_figure(profile: DataProfile) -> Figure:
    """Every class a row, most frequent first; pixels, regions, images and centers as panels."""
    order = [k for _, ids in profile.groups for k in ids]
    levels = profile.levels
    row = 0.13 if len(order) > 60 else 0.2  # inches
    figure = Figure(figsize=(9.4, 0.9 + row * len(order)), layout="constrained")
    panels = figure.subplots(1, len(levels), sharex=True, sharey=True)
    relative = [level.relative()[order].numpy() for level in levels]
    least = min(float(shares[shares > 0].min(initial=1.0)) for shares in relative)
    floor = 10 ** (math.floor(math.log10(least)) - 0.15)
    ends = np.cumsum([len(ids) for _, ids in profile.groups]) - 0.5
    for index, (axes, level, shares) in enumerate(zip(panels, levels, relative, strict=True)):
        axes.set_title(f"{level.name}  {factor(level.imbalance_factor)} : 1")
        color = variant_color(1 if index + 1 == len(levels) else 0)
        seen = np.flatnonzero(shares > 0)
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
    names = [short(profile.classes[k]) for k in order]
    panels[0].set_yticks(range(len(order)), names, size=6.5 if len(order) > 60 else None)
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    _name_groups(panels[-1], profile)
    return figure


def _map(
    profile: DataProfile,
    pairs_KK: Tensor,
    name: str,
    title: str,
    caption: str,
    total_K: Tensor | None = None,
) -> Illustration:
    """A figure of pairs of classes, in shares of what a row has in all."""
    total_K = pairs_KK.sum(1) if total_K is None else total_K
    shares_KK = (pairs_KK.double() / total_K.double().unsqueeze(1)).numpy()
    np.fill_diagonal(shares_KK, np.nan)
    order = [k for _, ids in profile.groups for k in ids]
    numbers: list[dict[str, Any]] = [
        {
            "class": profile.classes[i],
            "other": profile.classes[j],
            "count": int(pairs_KK[i, j]),
            "share": float(shares_KK[i, j]),
        }
        for i in order
        for j in order
        if i != j
    ]
    figure = map_figure(profile, shares_KK, logarithmic=name == "adjacency")
    return Illustration(name, title, figure, caption + _scale(name), numbers)


@rc_context(STYLE)
def map_figure(profile: DataProfile, shares_KK: np.ndarray, *, logarithmic: bool) -> Figure:
    """(K, K) shares in the order of frequency; NaN, such as the diagonal, is grey.

    Args:
        profile: Whose classes.
        shares_KK: Shares, 0 to 1.
        logarithmic: Whether shares a hundred times apart are to be told apart.
    """
    order = [k for _, ids in profile.groups for k in ids]
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
    for end in np.cumsum([len(ids) for _, ids in profile.groups])[:-1] - 0.5:
        axes.axhline(end, color=_RULE, lw=0.6)
        axes.axvline(end, color=_RULE, lw=0.6)
    if named:
        names = [short(profile.classes[k]) for k in order]
        size = min(8.5, 330 / len(order))
        axes.set_yticks(range(len(order)), names, size=size)
        axes.set_xticks(range(len(order)), names, size=size, rotation=90, color=INK)
    else:
        bounds_of = [0, *np.cumsum([len(ids) for _, ids in profile.groups]).tolist()]
        middles = [(start + end - 1) / 2 for start, end in pairwise(bounds_of)]
        groups = [name for name, _ in profile.groups]
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


def _scale(name: str) -> str:
    if name == "adjacency":
        return (
            f" The scale is logarithmic; below {100 * _LEAST_SHARE:g} % all are as light as none."
        )
    return " The diagonal and rows of classes that never occur are grey."


def _fraction(value: float, _: object) -> str:
    return "1" if value >= 1 else f"1/{1 / value:,.0f}"


def _name_groups(axes: Axes, profile: DataProfile) -> None:
    """Names of the groups at the right of the last panel."""
    top = -0.5
    for name, ids in profile.groups:
        if ids:
            where = axes.get_yaxis_transform()
            middle = top + len(ids) / 2
            axes.text(1.03, middle, name, va="center", color=MUTED, transform=where)
        top += len(ids)
