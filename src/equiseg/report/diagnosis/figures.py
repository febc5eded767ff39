"""The figures of a diagnosis: angles, curves, accuracy and gradients against frequency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from equiseg.collapse import BranchGradients, Geometry
from equiseg.diagnosis.result import PIXEL, Diagnosis
from equiseg.records.history import history_rows
from equiseg.report.colors import variant_color
from equiseg.report.diagnosis.gradient_figure import frequency_law, gradient_figure, gradient_rows
from equiseg.report.figures import collapse_curve_figure, cosine_figure
from equiseg.report.name_marks import name_marks
from equiseg.report.style import MUTED, PAPER, STYLE, Illustration, short
from equiseg.report.wording import count, number

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

# Told apart by their marks too, for colour alone does not reach everyone.
_GROUPS: dict[str, dict[str, Any]] = {
    "head": {"marker": "o", "ms": 6.0, "color": variant_color(1)},
    "common": {"marker": "D", "ms": 5.0, "color": variant_color(2)},
    "tail": {"marker": "^", "ms": 6.8, "color": "#c8507e"},
}


@rc_context(STYLE)
def frequency_figure(diagnoses: Mapping[str, Diagnosis]) -> Figure:
    """The IoU of every class against its share of the training pixels, a panel for each network.

    The line is the least-squares one over the logarithm of the share. Names stand where they hide
    no mark and no other name, those of rare classes first.

    Args:
        diagnoses: Of each network; one or two, of the same classes.
    """
    figure = Figure(figsize=(9.4, 4.7 if len(diagnoses) > 1 else 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(diagnoses), sharex=True, sharey=True, squeeze=False)[0]
    trends: list[Line2D | None] = []
    for axes, (name, diagnosis) in zip(panels, diagnoses.items(), strict=True):
        axes.set_title(f"{short(name)}: r = {number(diagnosis.correlation.pearson, 1, 2)}")
        axes.set_xlabel(f"share of the training {diagnosis.unit}s")
        axes.set_xscale("log")
        share_K, iou_K = _shares(diagnosis), 100 * diagnosis.evaluation.score.iou_K.cpu().numpy()
        for group, ids in diagnosis.groups:
            style = _GROUPS[group] | {"mec": PAPER, "mew": 0.7, "ls": "", "zorder": 3}
            axes.plot(share_K[list(ids)], iou_K[list(ids)], **style)
        trends.append(_trend(axes, share_K, iou_K))
        axes.xaxis.set_major_locator(LogLocator(10))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
        axes.minorticks_off()
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.margins(x=0.08)
    panels[0].set_ylabel("IoU, %")
    panels[0].set_ylim(-4, 104)
    groups = [name for name, ids in next(iter(diagnoses.values())).groups if ids]
    handles = [Line2D([], [], ls="", label=group, **_GROUPS[group]) for group in groups]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    figure.draw_without_rendering()  # only now are the places of the marks known
    for axes, diagnosis, trend in zip(panels, diagnoses.values(), trends, strict=True):
        _name_classes(axes, diagnosis, trend)
    return figure


def frequency_illustration(diagnoses: Mapping[str, Diagnosis]) -> Illustration:
    """IoU against frequency, and its correlation in words."""
    *_, last = diagnoses.values()
    share_K = _shares(last)
    rows: list[dict[str, Any]] = []
    for group, ids in last.groups:
        for k in ids:
            row: dict[str, Any] = {"class": last.classes[k], "group": group}
            row["training share"] = float(share_K[k])
            for name, diagnosis in diagnoses.items():
                row[f"IoU {name}"] = float(diagnosis.evaluation.score.iou_K[k])
            rows.append(row)
    told = "; ".join(
        f"{name}: Pearson r = {number(d.correlation.pearson, 1, 2)} with the logarithm of the "
        f"share, Spearman {number(d.correlation.spearman, 1, 2)}, over "
        f"{d.correlation.num_classes} classes"
        for name, d in diagnoses.items()
    )
    left_out = len(last.classes) - last.correlation.num_classes
    absent = f" Not in training, or not in this split: {count(left_out, 'class')}." * (left_out > 0)
    return Illustration(
        "frequency",
        "Frequent classes and good ones",
        frequency_figure(diagnoses),
        f"Each mark is a class. {told}. Were all classes learned alike, r would be near 0.{absent}",
        rows,
        f"IoU of {len(rows)} classes against their share of the training {last.unit}s. {told}.",
    )


def cosine_illustrations(diagnoses: Mapping[str, Diagnosis]) -> list[Illustration]:
    """Cosine maps of the class centers and of the classifier's rows, the ideal beside them."""
    centers: dict[str, Geometry] = {n: d.measures for n, d in diagnoses.items()}
    rows = {n: d.measures.classifier for n, d in diagnoses.items()}
    known = {name: geometry for name, geometry in rows.items() if geometry is not None}
    *_, last = diagnoses.values()
    shown = [_cosines("centers", "Angles between class centers", _CENTERS, centers, last)]
    if known:
        title = "Angles between the classifier's rows"
        shown.append(_cosines("classifier", title, _ROWS, known, last))
    return shown


def curve_illustration(folders: Mapping[str, Path]) -> Illustration | None:
    """Neural collapse over the epochs, where training has logged it."""
    runs = {name: [folder] for name, folder in folders.items()}
    figure = collapse_curve_figure(runs)
    if figure is None:
        return None
    rows = history_rows(runs, ("collapse/",))
    alt = f"Measures over the epochs for {' and '.join(folders)}."
    return Illustration("curves", "Collapse while training", figure, _CURVES, rows, alt)


def gradient_illustration(name: str, diagnosis: Diagnosis) -> Illustration:
    """The gradient of each class, branch by branch, against its frequency."""
    slopes = "; ".join(
        f"{branch} {number(frequency_law(gradients, 'present').exponent, 1, 2)}, at equal error "
        f"{number(frequency_law(gradients, 'equal error').exponent, 1, 2)}"
        for branch, gradients in diagnosis.gradients.items()
    )
    return Illustration(
        "gradients",
        "Which classes the gradient hears",
        gradient_figure(diagnosis.gradients, diagnosis.classes),
        _gradient_caption(name, diagnosis.gradients),
        gradient_rows(diagnosis.gradients, diagnosis.classes),
        f"Gradient mass of each class against its share, both logarithmic. Slopes where the class "
        f"is present: {slopes}.",
    )


def _gradient_caption(name: str, gradients: Mapping[str, BranchGradients]) -> str:
    batches = count(next(iter(gradients.values())).num_batches, "batch")
    text = (
        f"Gradient mass of {name}: over the pixels of a class, the sum of the gradient's norm on "
        f"their features, mean of {batches}. The center branch counts every present class once. "
    )
    if PIXEL in gradients:
        text += (
            "Pixel cross entropy gives a class the more, the more pixels it has and the more it "
            "still errs there. "
        )
    else:
        text += (
            "The classifier looks at a neighbourhood and has no row a class, so that the gradient "
            "of pixel cross entropy is not split. "
        )
    return text + (
        "In the middle the error is divided out: a slope of 1 is proportion, 0 no dependence on "
        "frequency. On the right a class counts for nothing in batches that lack it."
    )


def _cosines(
    name: str, title: str, caption: str, geometries: Mapping[str, Geometry], diagnosis: Diagnosis
) -> Illustration:
    order = [k for _, ids in diagnosis.groups for k in ids]
    rows = [
        {"network": variant, "class": diagnosis.classes[k]}
        | {diagnosis.classes[j]: round(float(geometry.cosines_KK[k, j]), 5) for j in order}
        for variant, geometry in geometries.items()
        for k in order
    ]
    distances = ", ".join(
        f"{variant} {number(geometry.maximal_separation, 1, 3)}"
        for variant, geometry in geometries.items()
    )
    return Illustration(
        name,
        title,
        cosine_figure(geometries, diagnosis.classes, dict(diagnosis.groups)),
        caption + _READ_COSINES,
        rows,
        f"A square of cosines for each network. Mean distance from the simplex: {distances}.",
    )


def _shares(diagnosis: Diagnosis) -> np.ndarray:
    """(K,) shares of the training pixels; NaN for classes without any."""
    counts_K = diagnosis.class_counts_K.double()
    share_K: np.ndarray = (counts_K / counts_K.sum().clamp(min=1)).numpy()
    return np.where(share_K > 0, share_K, math.nan)


def _trend(axes: Axes, share_K: np.ndarray, iou_K: np.ndarray) -> Line2D | None:
    known = ~np.isnan(share_K) & ~np.isnan(iou_K)
    if known.sum() < 3 or np.ptp(share_K[known]) == 0:
        return None
    x = np.log(share_K[known])
    slope, start = np.polyfit(x, iou_K[known], 1)
    ends = np.linspace(x.min(), x.max())
    return axes.plot(np.exp(ends), slope * ends + start, color=MUTED, lw=1.2, alpha=0.7, zorder=1)[
        0
    ]


def _name_classes(axes: Axes, diagnosis: Diagnosis, trend: Line2D | None) -> None:
    """Names beside the marks, those of rare classes first."""
    share_K, iou_K = _shares(diagnosis), 100 * diagnosis.evaluation.score.iou_K.cpu().numpy()
    order = [k for _, ids in reversed([*diagnosis.groups]) for k in reversed(ids)]
    marks = [
        (short(diagnosis.classes[k], 18), float(share_K[k]), float(iou_K[k]))
        for k in order
        if not (math.isnan(share_K[k]) or math.isnan(iou_K[k]))
    ]
    name_marks(axes, marks, None if trend is None else np.asarray(trend.get_xydata()))


_CENTERS = (
    "Cosines between the class centers of the features that the classifier is given, measured from "
    "their unweighted mean; most frequent class first. "
)
_ROWS = (
    "Cosines between the weight rows of the classifier, measured from their mean, in the same "
    "order. "
)
_READ_COSINES = (
    "White is the simplex, where all classes are equally far apart; red is closer to each other, "
    "blue farther apart, grey a class with itself or one that is absent; lines part head, common "
    "and tail."
)
_CURVES = (
    "How far the validation features are from neural collapse; each measure is 0 when it is "
    "complete."
)
