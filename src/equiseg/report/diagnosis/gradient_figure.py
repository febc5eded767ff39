"""The gradient of each class against how frequent it is, branch by branch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from equiseg.collapse.gradients import BranchGradients, PowerLaw
from equiseg.report.colors import variant_color
from equiseg.report.style import MUTED, PAPER, STYLE, short, variant_marker
from equiseg.report.wording import number

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
    "equal error": "the same, over the error 1 − p",
    "mean": "in the mean batch",
}


@rc_context(STYLE)
def gradient_figure(branches: Mapping[str, BranchGradients], classes: Sequence[str]) -> Figure:
    """Gradient mass of every class against its share of the pixels, both logarithmic.

    First in the batches that hold the class. Then the same over how wrong the branch still is
    about the class, 1 - p: what is left is the number of pixels for pixel cross entropy, a slope
    of 1, and nothing for the center branch, a slope of 0. Last over all batches, as training adds
    up: a class that many batches lack has no center in them either.

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
            _branch(axes, index, *_points(gradients, panel))
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
    branches: Mapping[str, BranchGradients], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The numbers behind the figure, a row for each class and branch, most frequent class first.

    The norms of the two parts of the gradient on the classifier rows stand beside them.
    """
    rows = []
    first = next(iter(branches.values()))
    for k in first.counts_K.argsort(descending=True, stable=True).tolist():
        for name, gradients in branches.items():
            steps = gradients.num_batches
            rows.append(
                {
                    "class": classes[k],
                    "branch": name,
                    "pixels": int(gradients.counts_K[k]),
                    "batches with the class": int(gradients.batches_K[k]),
                    "batches": steps,
                    "mass where present": float(gradients.present_mass_K[k]),
                    "mean mass": float(gradients.mean_mass_K[k]),
                    "mean pull": float(gradients.pull_K[k]) / steps,
                    "mean push": float(gradients.push_K[k]) / steps,
                    "error where present": float(gradients.present_error_K[k]),
                    "row gradient within": float(gradients.rows_within_KD[k].norm()) / steps,
                    "row gradient between": float(gradients.rows_between_KD[k].norm()) / steps,
                }
            )
    return rows


def frequency_law(gradients: BranchGradients, panel: Panel) -> PowerLaw:
    """The line through one branch in one panel: how a class's mass grows with its share."""
    return PowerLaw.fit(*_points(gradients, panel))


def _points(gradients: BranchGradients, panel: Panel) -> tuple[Tensor, Tensor]:
    """(K,) shares of the labelled pixels and (K,) masses; NaN or zero where a class is absent."""
    if panel == "mean":
        return gradients.counts_K / gradients.counts_K.sum(), gradients.mean_mass_K
    pixels = gradients.counts_K.sum() / gradients.num_batches
    mass_K = gradients.present_mass_K
    if panel == "equal error":
        mass_K = mass_K / gradients.present_error_K
    return gradients.present_counts_K / pixels, mass_K


def _branch(axes: Axes, index: int, shares_K: Tensor, masses_K: Tensor) -> None:
    """The classes of one branch, and the line through them with its slope in the legend."""
    law = PowerLaw.fit(shares_K, masses_K)
    known = (shares_K > 0) & (masses_K > 0)
    shares, masses = shares_K[known].cpu().numpy(), masses_K[known].cpu().numpy()
    axes.plot(shares, masses, zorder=3, **_style(index))
    if not math.isnan(law.exponent):
        ends = np.array([shares.min(), shares.max()])
        label = f"slope {number(law.exponent, 1, 2)}"
        color = variant_color(index + 1)
        axes.plot(
            ends, law.factor * ends**law.exponent, color=color, lw=1.8, alpha=0.7, label=label
        )


def _style(index: int) -> dict[str, Any]:
    """Marks without a line; no branch is a baseline, so none is grey."""
    color, marker = variant_color(index + 1), variant_marker(index)
    return {"ls": "", "marker": marker, "ms": 6, "color": color, "mec": PAPER, "mew": 0.7}


def _mark(index: int, label: str) -> Line2D:
    return Line2D([], [], label=label, **_style(index))


def _name_ends(axes: Axes, classes: Sequence[str], shares_K: Tensor) -> None:
    """Names of the rarest and the most frequent class, at their shares."""
    known = (shares_K > 0).nonzero().flatten()
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
