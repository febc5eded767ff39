"""The gradient of each class against its frequency, branch by branch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from equiseg.records.diagnosis import PIXEL, DiagnosisRecord, GradientRecord
from equiseg.report.colors import variant_color
from equiseg.report.style import MUTED, PAPER, STYLE, Illustration, short, variant_marker
from equiseg.report.wording import count, number

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


Panel = Literal["present", "equal error", "mean"]
_PANELS: dict[Panel, str] = {
    "present": "in a batch that holds the class",
    "equal error": "the same, divided by the error 1 − p",
    "mean": "in the mean batch",
}


def gradient_illustration(name: str, record: DiagnosisRecord) -> Illustration:
    """The gradient of each class, branch by branch, against its frequency."""
    slopes = "; ".join(
        f"{branch} {number(gradients.slopes['present'], 1, 2)}, at equal error "
        f"{number(gradients.slopes['equal error'], 1, 2)}"
        for branch, gradients in record.gradients.items()
    )
    return Illustration(
        "gradients",
        "Gradient per class",
        gradient_figure(record.gradients, record.classes),
        _caption(name, record.gradients),
        gradient_rows(record.gradients, record.classes),
        f"Gradient mass of each class against its share, both logarithmic. Slopes where the class "
        f"is present: {slopes}.",
    )


@rc_context(STYLE)
def gradient_figure(branches: Mapping[str, GradientRecord], classes: Sequence[str]) -> Figure:
    """Gradient mass of every class against its share of the pixels, both logarithmic.

    First in the batches that hold the class. Then the same over the error of the branch on the
    class, 1 - p: the number of pixels remains for pixel cross entropy, a slope of 1, and nothing
    for the center branch, a slope of 0. Last over all batches, as training adds up: a class that
    many batches lack has no center in them either.

    Args:
        branches: By name, each added up over the same batches; the pixel branch first.
        classes: Names of the classes.
    """
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharex=True, sharey=True)
    for axes, (panel, title) in zip(panels, _PANELS.items(), strict=True):
        axes.set_title(title)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, gradients in enumerate(branches.values()):
            _branch(axes, index, *_points(gradients, panel), gradients.slopes[panel])
        axes.xaxis.set_major_locator(LogLocator(10, numticks=5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _power(y)))
        axes.minorticks_off()
        axes.tick_params(length=0, labelcolor=MUTED)
        _name_ends(axes, classes, _points(next(iter(branches.values())), panel)[0])
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", handlelength=1.6, borderpad=0)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low / 3, high * 8)  # room for names below, for slopes above
    panels[0].set_xlim(right=1)
    panels[0].set_ylabel("sum of |dL/dx| over the pixels; middle: over 1 − p")
    figure.supxlabel("share of the labelled pixels", size=9, color=MUTED)
    handles = [_mark(index, label=short(name, 40)) for index, name in enumerate(branches)]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def gradient_rows(
    branches: Mapping[str, GradientRecord], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The numbers behind the figure, a row for each class and branch, most frequent class first.

    They include the norms of the two parts of the gradient on the classifier rows, where the
    record has them.
    """
    rows = []
    first = next(iter(branches.values()))
    for k in np.argsort(-first.counts_K, kind="stable").tolist():
        for name, gradients in branches.items():
            rows.append(
                {
                    "class": classes[k],
                    "branch": name,
                    "pixels": int(gradients.counts_K[k]),
                    "batches with the class": int(gradients.batches_K[k]),
                    "batches": gradients.num_batches,
                    "mass where present": float(_present_mass(gradients)[k]),
                    "mean mass": float(gradients.mass_K[k]),
                    "mean pull": float(gradients.pull_K[k]),
                    "mean push": float(gradients.push_K[k]),
                    "error where present": float(gradients.error_K[k]),
                    **{
                        row.replace("_", " "): float(norms_K[k])
                        for row, norms_K in gradients.rows_K.items()
                    },
                }
            )
    return rows


def _present_mass(gradients: GradientRecord) -> np.ndarray:
    """(K,) gradient mass in a batch that holds the class; NaN where none did."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mass_K: np.ndarray = gradients.mass_K * gradients.num_batches / gradients.batches_K
    return mass_K


def _points(gradients: GradientRecord, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """(K,) shares of the labelled pixels and (K,) masses; NaN or zero where a class is absent."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if panel == "mean":
            return gradients.counts_K / gradients.counts_K.sum(), gradients.mass_K
        pixels = gradients.counts_K.sum() / gradients.num_batches
        mass_K = _present_mass(gradients)
        if panel == "equal error":
            mass_K = mass_K / gradients.error_K
        return gradients.counts_K / gradients.batches_K / pixels, mass_K


def _branch(
    axes: Axes, index: int, shares_K: np.ndarray, masses_K: np.ndarray, slope: float
) -> None:
    """The classes of one branch, and the line of their slope through their mean."""
    known = (shares_K > 0) & (masses_K > 0)
    shares, masses = shares_K[known], masses_K[known]
    axes.plot(shares, masses, zorder=3, **_style(index))
    if not math.isnan(slope):
        ends = np.log([shares.min(), shares.max()])
        line = np.exp(np.log(masses).mean() + slope * (ends - np.log(shares).mean()))
        label, color = f"slope {number(slope, 1, 2)}", variant_color(index + 1)
        axes.plot(np.exp(ends), line, color=color, lw=1.8, alpha=0.7, label=label)


def _style(index: int) -> dict[str, Any]:
    """Marks without a line; no branch is a baseline, so none is grey."""
    color, marker = variant_color(index + 1), variant_marker(index)
    return {"ls": "", "marker": marker, "ms": 6, "color": color, "mec": PAPER, "mew": 0.7}


def _mark(index: int, label: str) -> Line2D:
    return Line2D([], [], label=label, **_style(index))


def _name_ends(axes: Axes, classes: Sequence[str], shares_K: np.ndarray) -> None:
    """Names of the rarest and the most frequent class, at their shares."""
    known = np.flatnonzero(shares_K > 0)
    if not len(known):
        return
    ends = shares_K[known].argmin(), shares_K[known].argmax()
    for end, side in zip(ends, ("left", "right"), strict=True):
        k = int(known[end])
        axes.annotate(
            short(classes[k], 16),
            (float(shares_K[k]), 0.02),
            xycoords=axes.get_xaxis_transform(),
            ha=side,
            color=MUTED,
            size=8,
        )


def _power(value: float) -> str:
    """A power of ten as 10⁻³: formulas are switched off, for class names may look like them."""
    exponent = str(round(math.log10(value)))
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _caption(name: str, gradients: Mapping[str, GradientRecord]) -> str:
    batches = count(next(iter(gradients.values())).num_batches, "batch")
    text = (
        f"Gradient mass of {name}: over the pixels of a class, the sum of the gradient's norm on "
        f"their features, mean of {batches}. The center branch counts every present class once. "
    )
    if PIXEL in gradients:
        text += (
            "Pixel cross entropy gives a class more gradient the more pixels it has and the larger "
            "its error is. "
        )
    else:
        text += (
            "The classifier looks at a neighbourhood and has no row per class, so the gradient of "
            "pixel cross entropy is not split by class. "
        )
    return text + (
        "The middle panel divides by the error: a slope of 1 means proportional to frequency, 0 "
        "independent of it. In the right panel a class counts as 0 in batches that lack it."
    )
