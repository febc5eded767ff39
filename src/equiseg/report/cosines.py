"""Cosines between the vectors of the classes, next to the simplex they should form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from equiseg.records.diagnosis import DiagnosisRecord
from equiseg.report.style import MUTED, STYLE, Illustration, short
from equiseg.report.wording import number

try:
    from matplotlib import colormaps, rc_context
    from matplotlib.axes import Axes
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_RULE = "#3c4350"  # upon the colours of a matrix, which stay light on dark paper
_NAMED = 30  # beyond this, names of classes at a matrix are too small to read


@dataclass(frozen=True, eq=False)
class CosineMap:
    """The cosines of one network.

    Attributes:
        cosines_KK: (K, K); NaN for absent classes.
        distance: Mean distance of the cosines from -1 / (K' - 1).
        num_present: Number K' of classes that are present.
    """

    cosines_KK: np.ndarray
    distance: float
    num_present: int

    @classmethod
    def of_centers(cls, record: DiagnosisRecord) -> CosineMap:
        """The cosines between the class centers."""
        numbers = record.numbers
        distance = numbers["maximal_separation"]
        return cls(record.center_cosines_KK, distance, int(numbers["num_present"]))

    @classmethod
    def of_classifier(cls, record: DiagnosisRecord) -> CosineMap | None:
        """The cosines between the rows of the classifier; None where there are no rows."""
        if record.classifier_cosines_KK is None:
            return None
        distance = record.numbers["classifier_maximal_separation"]
        present = int(record.numbers["num_present"])
        return cls(record.classifier_cosines_KK, distance, present)


def cosine_illustration(
    name: str,
    title: str,
    caption: str,
    maps: Mapping[str, CosineMap],
    classes: Sequence[str],
    groups: Mapping[str, Sequence[int]],
) -> Illustration:
    """The matrices of several networks, with the numbers behind them."""
    order = [k for ids in groups.values() for k in ids]
    rows: list[dict[str, Any]] = [
        {"network": network, "class": classes[k]}
        | {classes[j]: round(float(one.cosines_KK[k, j]), 5) for j in order}
        for network, one in maps.items()
        for k in order
    ]
    distances = ", ".join(f"{n} {number(one.distance, 1, 3)}" for n, one in maps.items())
    return Illustration(
        name,
        title,
        cosine_figure(maps, classes, groups),
        f"{caption} {_READ}",
        rows,
        f"A square of cosines for each network. Mean distance from the simplex: {distances}.",
    )


@rc_context(STYLE)
def cosine_figure(
    maps: Mapping[str, CosineMap], classes: Sequence[str], groups: Mapping[str, Sequence[int]]
) -> Figure:
    """Cosines between the vectors of the classes, and the simplex they should form.

    White is the ideal -1/(K-1), K the number of classes that are present; absent ones and the
    diagonal are grey.

    Args:
        maps: Of the centers (or classifier rows) of each variant.
        classes: Names of the classes.
        groups: Class ids of head, common and tail, most frequent first.
    """
    order = [k for ids in groups.values() for k in ids]
    matrices = {name: _ordered(one.cosines_KK, order) for name, one in maps.items()}
    labels = {name: f"mean distance {number(one.distance, 1, 3)}" for name, one in maps.items()}
    ideal = -1 / max(1, max(one.num_present for one in maps.values()) - 1)
    matrices["ideal"] = np.where(np.eye(len(order), dtype=bool), np.nan, ideal)
    labels["ideal"] = f"every cosine {number(ideal, 1, 3)}"
    columns = len(matrices) if len(matrices) <= 4 else 3
    rows = math.ceil(len(matrices) / columns)
    side = 9.4 / columns - (0.35 if len(order) <= _NAMED else 0.1)
    figure = Figure(figsize=(9.4, rows * (side + 0.5)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    norm = TwoSlopeNorm(ideal, min(-1, ideal - 0.1), 1)
    picture: Any = None
    for axes, (name, matrix) in zip(panels.flat, matrices.items(), strict=False):
        axes.set_title(short(name))
        axes.set_xlabel(labels[name])
        picture = _matrix(axes, matrix, norm)
        _name_rows(axes, [classes[k] for k in order], groups)
    for axes in panels.flat[len(matrices) :]:
        axes.set_axis_off()
    bar = figure.colorbar(picture, ax=panels, shrink=0.6, aspect=30, pad=0.01)
    bar.set_ticks([-1, ideal, 1], labels=["−1", "ideal", "1"])
    bar.ax.tick_params(length=0, labelcolor=MUTED)
    bar.outline.set_visible(False)
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, norm: TwoSlopeNorm) -> Any:
    """One matrix as a picture."""
    size = len(matrix)
    return axes.imshow(
        np.kron(matrix, np.ones((math.ceil(600 / size),) * 2)),  # survives scaling
        cmap=colormaps["RdBu_r"].with_extremes(bad="#88909c66"),
        norm=norm,
        interpolation="none",
        extent=(-0.5, size - 0.5, size - 0.5, -0.5),
    )


def _name_rows(axes: Axes, names: Sequence[str], groups: Mapping[str, Sequence[int]]) -> None:
    """Lines between the groups, and names of the classes or, of many, of the groups."""
    borders = np.cumsum([len(ids) for ids in groups.values()])[:-1].tolist()
    for border in borders:
        axes.axhline(border - 0.5, color=_RULE, lw=0.6)
        axes.axvline(border - 0.5, color=_RULE, lw=0.6)
    axes.set_xticks([])
    if len(names) <= _NAMED:
        shown = [short(name, 14) for name in names]
        axes.set_yticks(range(len(names)), shown, size=min(8.5, 150 / len(names)))
    else:
        middles = [(start + end - 1) / 2 for start, end in pairwise([0, *borders, len(names)])]
        axes.set_yticks(middles, list(groups), rotation=90, va="center", color=MUTED)
    axes.tick_params(length=0)
    axes.grid(visible=False)


def _ordered(cosines_KK: np.ndarray, order: list[int]) -> np.ndarray:
    """(K, K) cosines in an order of the classes; NaN on the diagonal and where one is absent."""
    cosines: np.ndarray = cosines_KK[np.ix_(order, order)].copy()
    np.fill_diagonal(cosines, np.nan)
    return cosines


_READ = (
    "White is the simplex, where all classes are equally far apart; red is closer, blue is farther "
    "apart; grey is the diagonal or an absent class; lines separate head, common and tail."
)
