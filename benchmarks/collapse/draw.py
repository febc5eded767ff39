"""Tables and figures of docs/explanation/collapse.md from benchmarks/results/collapse_*.json.

    python -m benchmarks.collapse.draw

Prints the tables as Markdown and writes docs/images/collapse_{curves,geometry,gain}.png.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axis import Axis
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.measure import RESULTS
from equiseg.report.colors import variant_color
from equiseg.report.style import INK, MUTED, PAPER, STYLE
from equiseg.study.interval import Interval

IMAGES = RESULTS.parents[1] / "docs/images"
METHODS = ("cross_entropy", "ceco")
Row = dict[str, Any]


def rows_of(name: str) -> list[Row]:
    """The rows of one result file."""
    rows: list[Row] = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    return rows


def values(rows: Sequence[Row], column: str, **cell: Any) -> list[float]:
    """A column of the rows of one cell, seed by seed."""
    chosen = [row for row in rows if all(row[key] == value for key, value in cell.items())]
    return [row[column] for row in sorted(chosen, key=lambda row: row["seed"])]


def spread(found: Sequence[float], scale: float = 1, digits: int = 3) -> str:
    """Mean and standard deviation."""
    return f"{scale * mean(found):.{digits}f} ± {scale * stdev(found):.{digits}f}"


def gain(rows: Sequence[Row], column: str, **cell: Any) -> Interval:
    """Gain with the regularizer, paired by seed."""
    ours, theirs = (values(rows, column, method=m, **cell) for m in reversed(METHODS))
    return Interval.paired(ours, theirs)


def points(difference: Interval, scale: float = 100, digits: int = 1) -> str:
    """A difference with its 95 % interval."""
    return (
        f"{scale * difference.mean:+.{digits}f} ± {scale * difference.half_width:.{digits}f}"
    ).replace("-", "−")


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cells_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The cells of the grid, in its order."""
    keys = ("classes", "imbalance", "context")
    found = dict.fromkeys(tuple(row[key] for key in keys) for row in rows)
    return [dict(zip(keys, cell, strict=True)) for cell in found]


def _plain(axis: Axis) -> None:
    """Powers of ten as plain numbers, not as formulas."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


@rc_context(STYLE)
def curve_figure() -> Figure:
    """Measures over training: balanced digits and ten classes of the built-in pictures."""
    digits, scenes = rows_of("collapse_digits"), rows_of("collapse_curves")
    panels = {
        "nc1_ratio": "NC1: within over between",
        "equiangularity": "NC2: spread of the cosines of centers",
        "self_duality": "NC3: classifier against centers",
        "classifier_equiangularity": "NC2: spread of the cosines of classifier rows",
    }
    figure = Figure(figsize=(9.4, 5.4), layout="constrained")
    series: list[tuple[str, list[Row], str]] = [("digits, balanced", digits, "#2a9d78")]
    series += [
        (f"built-in pictures, {method.replace('_', ' ')}", chosen, variant_color(index))
        for index, method in enumerate(METHODS)
        if (chosen := [row for row in scenes if row["method"] == method])
    ]
    for axes, (column, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        axes.set_title(title)
        for _, chosen, color in series:
            epochs = sorted({row["epoch"] for row in chosen})
            curves = np.array([values(chosen, column, epoch=epoch) for epoch in epochs])
            share = [100 * epoch / epochs[-1] for epoch in epochs]
            axes.plot(share, curves, color=color, lw=0.7, alpha=0.5)
            axes.plot(share, curves.mean(1), color=color, lw=2.2)
        if column == "nc1_ratio":
            axes.set_yscale("log")
            _plain(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.tick_params(length=0, labelcolor=MUTED)
    figure.supxlabel("share of the training, %", size=9, color=MUTED)
    handles = [Line2D([], [], color=color, lw=2.2, label=name) for name, _, color in series]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return figure


@rc_context(STYLE)
def geometry_figure() -> Figure:
    """Equiangularity of centers and of classifier rows over both dials, ten classes."""
    rows = [row for row in rows_of("collapse_grid") if row["classes"] == 10]
    imbalances = sorted({row["imbalance"] for row in rows})
    contexts = sorted({row["context"] for row in rows})
    figure = Figure(figsize=(9.4, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    columns = ("equiangularity", "classifier_equiangularity")
    for axes, column, title in zip(panels, columns, ("centers", "classifier rows"), strict=True):
        axes.set_title(f"spread of the cosines of {title}")
        axes.set_xscale("log")
        _plain(axes.xaxis)
        axes.set_xlabel("imbalance dial")
        for index, method in enumerate(METHODS):
            for context, style in zip(contexts, (":", "--", "-"), strict=True):
                found = [
                    values(rows, column, method=method, imbalance=i, context=context)
                    for i in imbalances
                ]
                axes.plot(
                    imbalances, [mean(f) for f in found], style, color=variant_color(index), lw=1.8
                )
                for imbalance, some in zip(imbalances, found, strict=True):
                    axes.plot(
                        [imbalance] * len(some), some, "o", ms=3, mew=0, color=variant_color(index)
                    )
        axes.set_ylim(bottom=0)
        axes.tick_params(length=0, labelcolor=MUTED)
    handles = [
        Line2D([], [], color=variant_color(i), lw=1.8, label=m.replace("_", " "))
        for i, m in enumerate(METHODS)
    ]
    handles += [
        Line2D([], [], color=MUTED, lw=1.8, ls=style, label=f"context {context:g}")
        for context, style in zip(contexts, (":", "--", "-"), strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=5)
    return figure


@rc_context(STYLE)
def gain_figure() -> Figure:
    """Gain with the regularizer in every cell, in points of mIoU and of tail IoU."""
    rows = rows_of("collapse_grid")
    panels: list[tuple[str, Callable[[Row], bool], str]] = [
        ("10 classes", lambda row: row["classes"] == 10, "context"),
        ("context 0.5", lambda row: row["context"] == 0.5, "classes"),
    ]
    figure = Figure(figsize=(9.4, 6.2), layout="constrained")
    grid = figure.subplots(2, 2)
    for places, metric in zip(grid, ("miou", "tail"), strict=True):
        for axes, (title, keep, vertical) in zip(places, panels, strict=True):
            chosen = [row for row in rows if keep(row)]
            across = sorted({row["imbalance"] for row in chosen})
            up = sorted({row[vertical] for row in chosen}, reverse=True)
            gains = [
                [gain(chosen, metric, imbalance=i, **{vertical: v}) for i in across] for v in up
            ]
            axes.imshow(
                [[100 * g.mean for g in line] for line in gains],
                cmap="RdBu",
                norm=TwoSlopeNorm(0, -12, 12),
                aspect="auto",
            )
            for y, line in enumerate(gains):
                for x, found in enumerate(line):
                    strong = abs(100 * found.mean) > 7
                    axes.text(
                        x, y, points(found), ha="center", va="center",
                        color=PAPER if strong else INK,
                        weight="bold" if found.excludes_zero else "normal",
                    )  # fmt: skip
            axes.set_title(f"{'mIoU' if metric == 'miou' else 'tail IoU'}, {title}")
            axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
            axes.set_yticks(range(len(up)), [f"{value:g}" for value in up])
            axes.set_xlabel("imbalance dial")
            axes.set_ylabel(f"{vertical} dial" if vertical == "context" else vertical)
            axes.tick_params(length=0)
            axes.grid(visible=False)
    return figure


def grid_table() -> str:
    """Every cell: its labels, the geometry without and with the regularizer, and the gain."""
    rows, labels = rows_of("collapse_grid"), rows_of("collapse_context")
    lines = []
    for cell in cells_of(rows):
        (told,) = [r for r in labels if all(r[key] == value for key, value in cell.items())]
        lines.append(
            [
                *(f"{value:g}" for value in cell.values()),
                f"{told['pixel_imbalance']:.0f} → {told['center_imbalance']:.1f}",
                f"{100 * told['told_by_neighbour']:.0f} %",
                *(
                    spread(values(rows, column, method=method, **cell), 1, 2)
                    for column in ("equiangularity", "classifier_equiangularity")
                    for method in METHODS
                ),
                spread(values(rows, "miou", method=METHODS[0], **cell), 100, 1),
                *(points(gain(rows, metric, **cell)) for metric in ("miou", "head", "tail")),
            ]
        )
    heads = ["classes", "imbalance", "context", "pixels → centers", "told by a neighbour"]
    heads += ["centers", "with CeCo", "classifier", "with CeCo", "mIoU", "gain", "head", "tail"]
    return markdown(heads, lines)


def digits_table() -> str:
    """First and last epoch for the digits and for the pictures."""
    columns = ("nc1_ratio", "equinorm", "equiangularity", "etf_error", "self_duality")
    columns += ("classifier_equiangularity",)
    digits, scenes = rows_of("collapse_digits"), rows_of("collapse_curves")
    parts = [("digits", digits)]
    parts += [(f"scenes, {m}", [row for row in scenes if row["method"] == m]) for m in METHODS]
    lines = []
    for name, rows in parts:
        epochs = sorted({row["epoch"] for row in rows})
        for epoch in (epochs[0], epochs[-1]):
            found = [spread(values(rows, column, epoch=epoch)) for column in columns]
            lines.append([name, str(epoch), *found])
    return markdown(["data", "epoch", *(c.replace("_", " ") for c in columns)], lines)


def long_table() -> str:
    """The middle cell of the grid, and the same trained four times as long."""
    middle = {"classes": 10, "imbalance": 100, "context": 0.5}
    short = [r for r in rows_of("collapse_grid") if all(r[k] == v for k, v in middle.items())]
    lines = [
        [epochs, metric, *(spread(values(rows, metric, method=m), 100, 1) for m in METHODS),
         points(gain(rows, metric))]
        for epochs, rows in (("15", short), ("60", rows_of("collapse_long")))
        for metric in ("miou", "head", "common", "tail")
    ]  # fmt: skip
    return markdown(["epochs", "test", *METHODS, "gain"], lines)


def real_table() -> str:
    """CamVid and Clothing Co-Parsing without and with the regularizer."""
    rows = rows_of("collapse_real")
    columns = ("nc1_ratio", "nc1_pinv", "cdnv", "equiangularity", "etf_error", "self_duality")
    columns += ("classifier_equiangularity", "largest_cosine", "pearson", "spearman")
    lines = []
    for data in dict.fromkeys(row["data"] for row in rows):
        for column in columns:
            cell = {"data": data}
            lines.append(
                [
                    data,
                    column.replace("_", " "),
                    *(spread(values(rows, column, method=m, **cell)) for m in METHODS),
                    points(gain(rows, column, **cell), 1, 3),
                ]
            )
    return markdown(["data", "measure", *METHODS, "difference"], lines)


if __name__ == "__main__":
    for name, figure in (
        ("curves", curve_figure()),
        ("geometry", geometry_figure()),
        ("gain", gain_figure()),
    ):
        with rc_context(STYLE):
            figure.savefig(IMAGES / f"collapse_{name}.png", dpi=130)
    for table in (digits_table(), grid_table(), long_table(), real_table()):
        print(table + "\n")
