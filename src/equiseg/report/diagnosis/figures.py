"""The figures of a diagnosis: accuracy against frequency, and angles between classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from equiseg.records.diagnosis import DiagnosisRecord
from equiseg.report.colors import variant_color
from equiseg.report.cosines import CosineMap, cosine_illustration
from equiseg.report.label_placement import name_marks
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

# They differ by their marks too, for colour alone does not reach everyone.
_GROUPS: dict[str, dict[str, Any]] = {
    "head": {"marker": "o", "ms": 6.0, "color": variant_color(1)},
    "common": {"marker": "D", "ms": 5.0, "color": variant_color(2)},
    "tail": {"marker": "^", "ms": 6.8, "color": "#c8507e"},
}


@rc_context(STYLE)
def frequency_figure(networks: Mapping[str, DiagnosisRecord]) -> Figure:
    """The IoU of every class against its share of the training pixels, a panel for each network.

    The line is the least-squares one over the logarithm of the share. Names are placed where they
    hide no mark and no other name, names of rare classes first.

    Args:
        networks: One or two, of the same classes.
    """
    figure = Figure(figsize=(9.4, 4.7 if len(networks) > 1 else 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(networks), sharex=True, sharey=True, squeeze=False)[0]
    trends: list[Line2D | None] = []
    for axes, (name, record) in zip(panels, networks.items(), strict=True):
        axes.set_title(f"{short(name)}: r = {number(record.correlation['pearson'], 1, 2)}")
        axes.set_xlabel(f"share of the training {record.unit}s")
        axes.set_xscale("log")
        share_K, iou_K = training_shares(record), 100 * record.iou_K
        for group, ids in record.groups.items():
            style = _GROUPS[group] | {"mec": PAPER, "mew": 0.7, "ls": "", "zorder": 3}
            axes.plot(share_K[ids], iou_K[ids], **style)
        trends.append(_trend(axes, share_K, iou_K))
        axes.xaxis.set_major_locator(LogLocator(10))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
        axes.minorticks_off()
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.margins(x=0.08)
    panels[0].set_ylabel("IoU, %")
    panels[0].set_ylim(-4, 104)
    groups = [name for name, ids in next(iter(networks.values())).groups.items() if ids]
    handles = [Line2D([], [], ls="", label=group, **_GROUPS[group]) for group in groups]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    figure.draw_without_rendering()  # only now are the places of the marks known
    for axes, record, trend in zip(panels, networks.values(), trends, strict=True):
        _name_classes(axes, record, trend)
    return figure


def frequency_illustration(networks: Mapping[str, DiagnosisRecord]) -> Illustration:
    """IoU against frequency, and its correlation in words."""
    *_, last = networks.values()
    share_K = training_shares(last)
    rows: list[dict[str, Any]] = []
    for group, ids in last.groups.items():
        for k in ids:
            row: dict[str, Any] = {"class": last.classes[k], "group": group}
            row["training share"] = float(share_K[k])
            for name, record in networks.items():
                row[f"IoU {name}"] = float(record.iou_K[k])
            rows.append(row)
    told = "; ".join(
        f"{name}: Pearson r = {number(found['pearson'], 1, 2)} with the logarithm of the share, "
        f"Spearman {number(found['spearman'], 1, 2)}, over {found['num_classes']} classes"
        for name, found in ((name, record.correlation) for name, record in networks.items())
    )
    left_out = len(last.classes) - int(last.correlation["num_classes"])
    absent = f" Not in training, or not in this split: {count(left_out, 'class')}." * (left_out > 0)
    return Illustration(
        "frequency",
        "IoU and class frequency",
        frequency_figure(networks),
        f"Each mark is a class. {told}. If all classes were learned equally well, r would be near "
        f"0.{absent}",
        rows,
        f"IoU of {len(rows)} classes against their share of the training {last.unit}s. {told}.",
    )


def cosine_illustrations(networks: Mapping[str, DiagnosisRecord]) -> list[Illustration]:
    """Cosine maps of the class centers and of the classifier's rows, next to the ideal."""
    *_, last = networks.values()
    centers = {name: CosineMap.of_centers(record) for name, record in networks.items()}
    rows = {name: CosineMap.of_classifier(record) for name, record in networks.items()}
    known = {name: one for name, one in rows.items() if one is not None}
    of = last.classes, last.groups
    title = "Angles between class centers"
    shown = [cosine_illustration("centers", title, _CENTERS, centers, *of)]
    if known:
        title = "Angles between classifier rows"
        shown.append(cosine_illustration("classifier", title, _ROWS, known, *of))
    return shown


def training_shares(record: DiagnosisRecord) -> np.ndarray:
    """(K,) shares of the training pixels; NaN for classes without any."""
    share_K = record.class_counts_K / max(1, record.class_counts_K.sum())
    return np.where(share_K > 0, share_K, math.nan)


def _trend(axes: Axes, share_K: np.ndarray, iou_K: np.ndarray) -> Line2D | None:
    known = ~np.isnan(share_K) & ~np.isnan(iou_K)
    if known.sum() < 3 or np.ptp(share_K[known]) == 0:
        return None
    x = np.log(share_K[known])
    slope, start = np.polyfit(x, iou_K[known], 1)
    ends = np.linspace(x.min(), x.max())
    line = Line2D(np.exp(ends), slope * ends + start, color=MUTED, lw=1.2, alpha=0.7, zorder=1)
    axes.add_line(line)
    return line


def _name_classes(axes: Axes, record: DiagnosisRecord, trend: Line2D | None) -> None:
    """Names next to the marks, names of rare classes first."""
    share_K, iou_K = training_shares(record), 100 * record.iou_K
    order = [k for ids in reversed(record.groups.values()) for k in reversed(ids)]
    marks = [
        (short(record.classes[k], 18), float(share_K[k]), float(iou_K[k]))
        for k in order
        if not (math.isnan(share_K[k]) or math.isnan(iou_K[k]))
    ]
    name_marks(axes, marks, None if trend is None else np.asarray(trend.get_xydata()))


_CENTERS = (
    "Cosines between the class centers of the features before the classifier, measured from their "
    "unweighted mean; most frequent class first."
)
_ROWS = "Cosines between the weight rows of the classifier, measured from their mean, same order."
