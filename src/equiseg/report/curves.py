"""Values over the epochs of training: scores, losses and collapse measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from equiseg.records.history import Curve, Histories, history_rows, mean_curve
from equiseg.report.colors import variant_color
from equiseg.report.style import MUTED, PAPER, STYLE, Illustration
from equiseg.report.variant_styles import variant_handles, variant_mark

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_COLLAPSE = {
    "collapse/equiangularity": "equiangularity of the centers",
    "collapse/classifier_equiangularity": "equiangularity of the classifier",
    "collapse/nc1_ratio": "spread within classes over between",
    "collapse/self_duality": "centers against classifier",
}


def training_illustrations(histories: Histories) -> list[Illustration]:
    """Scores and losses, then collapse measures, as far as they were logged."""
    shown = []
    names = " and ".join(histories)
    curves = curve_figure(histories)
    if curves is not None:
        rows = history_rows(histories, ("loss", "val/"))
        alt = f"Lines over the epochs for {names}."
        shown.append(Illustration("curves", "During training", curves, _CURVES, rows, alt))
    collapse = collapse_illustration(histories)
    return shown if collapse is None else [*shown, collapse]


def collapse_illustration(histories: Histories) -> Illustration | None:
    """Neural collapse over the epochs; None where it was not logged."""
    figure = collapse_curve_figure(histories)
    if figure is None:
        return None
    rows = history_rows(histories, ("collapse/",))
    alt = f"Measures over the epochs for {' and '.join(histories)}."
    return Illustration("collapse", "Collapse during training", figure, _COLLAPSED, rows, alt)


@rc_context(STYLE)
def curve_figure(histories: Histories) -> Figure | None:
    """Validation mIoU and tail, and every part of the loss, over the epochs.

    Args:
        histories: Of the runs of each variant, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None when nothing was logged yet.
    """
    logged = {name for runs in histories.values() for run in runs.values() for name in run}
    # The sum is left out when its parts are shown: methods with other parts do not share it.
    parts = sorted(n for n in logged if n.startswith("loss/"))
    titles = {"val/miou": "validation mIoU, %", "val/tail": "validation tail IoU, %"}
    titles |= {n: f"training loss: {n[5:].replace('_', ' ')}" for n in parts}
    return _curves(histories, titles)


@rc_context(STYLE)
def collapse_curve_figure(histories: Histories) -> Figure | None:
    """Neural collapse of the validation features over the epochs, as training logged it.

    Args:
        histories: Of the runs of each variant, one a seed.

    Returns:
        Thin lines for seeds, thick ones for their mean; None where none was logged.
    """
    return _curves(histories, _COLLAPSE)


def _curves(histories: Histories, titles: Mapping[str, str]) -> Figure | None:
    """A panel for each title of which something was logged; None where nothing was."""
    logged = {name for runs in histories.values() for run in runs.values() for name in run}
    shown = [name for name in titles if name in logged]
    if not shown:
        return None
    rows = math.ceil(len(shown) / 2)
    figure = Figure(figsize=(9.4, 0.5 + 2.5 * rows), layout="constrained")
    grid = list(figure.subplots(rows, 2, sharex=True, squeeze=False).flat)
    for axes, name in zip(grid, shown, strict=False):
        _panel(axes, histories, name, titles[name])
    if len(shown) % 2:
        grid[-1].set_axis_off()
        for above in grid[-3:-2]:  # if there is one, it is now the lowest of its column
            above.tick_params(labelbottom=True)
    figure.supxlabel("epoch", size=9, color=MUTED)
    names = list(histories)
    figure.legend(handles=variant_handles(names), loc="outside upper left", ncols=len(names))
    return figure


def _panel(axes: Axes, histories: Histories, name: str, title: str) -> None:
    """One logged value of every run, and the mean of each variant."""
    axes.set_title(title)
    scale = 100 if name.startswith("val/") else 1
    for v, runs in enumerate(histories.values()):
        curves = [run[name] for run in runs.values() if name in run]
        for curve in curves:
            _line(axes, curve, scale, color=variant_color(v), lw=0.8, alpha=0.45)
        # A mark at the end of the mean distinguishes the lines without their colours.
        mark = variant_mark(v) | {"mec": PAPER, "mew": 0.7, "markevery": [-1]}
        _line(axes, mean_curve(curves), scale, lw=2.2, **mark)
    axes.tick_params(length=0, labelcolor=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    top = axes.get_ylim()[1]
    axes.set_ylim(-0.02 * top, 1.05 * top)


def _line(axes: Axes, curve: Curve, scale: float, **style: Any) -> None:
    known = {epoch: scale * value for epoch, value in curve.items() if not math.isnan(value)}
    if len(known) == 1:  # a line of one point is invisible
        style = {"marker": "o", "ms": 2 * style["lw"]} | style
    if known:
        axes.plot(list(known), list(known.values()), solid_capstyle="round", **style)


_CURVES = (
    "Thin lines are seeds, thick lines their mean up to the last epoch that all of them reached. "
    "Losses are means over an epoch of augmented training images; scores are on the validation "
    "split."
)
_COLLAPSED = (
    "Distance of the validation features from neural collapse; each measure is 0 when collapse is "
    "complete. Equiangularity is the spread of the cosines between class centers, or between rows "
    "of the classifier."
)
