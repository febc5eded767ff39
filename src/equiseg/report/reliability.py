"""Reliability: the share of correct predictions against the confidence of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equiseg.records.diagnosis import DiagnosisRecord
from equiseg.report.colors import variant_color
from equiseg.report.style import MUTED, PAPER, STYLE, Illustration, short, variant_marker
from equiseg.report.wording import number
from equiseg.study.comparison import Comparison

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

Bins = Mapping[str, Sequence[float]]
_FEWEST = 100  # the share of correct ones among fewer predictions says little
_STRIPES = ("-", "--", ":")  # colours and marks come again after seven


@rc_context(STYLE)
def reliability_figure(runs: Mapping[str, Sequence[Bins]]) -> Figure:
    """Share of correct predictions against confidence, and the distribution of confidence.

    Args:
        runs: Of each network or method the bins of its runs, as
            ``equiseg.metrics.Calibration.bins`` gives them.

    Returns:
        Thick lines for all runs together, thin ones for single runs.
    """
    figure = Figure(figsize=(9.4, 5.0 + 0.25 * (len(runs) // 5)), layout="constrained")
    curve, spread = figure.subplots(1, 2, sharex=True)
    curve.set_title("correct predictions, %")
    curve.plot([0, 100], [0, 100], color=MUTED, lw=0.9)
    spread.set_title("share of all predictions")
    for v, (name, several) in enumerate(runs.items()):
        # One network alone is drawn in colour: grey is the baseline's.
        style: dict[str, Any] = {
            "color": variant_color(v + (len(runs) == 1)),
            "ls": _STRIPES[v // 7 % 3],
        }
        for bins in several if len(several) > 1 else ():
            _line(curve, bins, lw=0.7, alpha=0.35, **style)
        pooled = {key: np.sum([bins[key] for bins in several], axis=0) for key in several[0]}
        mark = {"marker": variant_marker(v), "ms": 4.6, "mec": PAPER, "mew": 0.7}
        _line(curve, pooled, lw=2, label=short(name), **mark, **style)
        edges = np.linspace(0, 100, len(pooled["count"]) + 1)
        shares = pooled["count"] / max(1, pooled["count"].sum())
        spread.stairs(shares, edges, baseline=None, lw=1.6, **style)
    spread.set_yscale("log")
    spread.set_ylim(1e-4, 1.3)
    spread.yaxis.set_major_locator(LogLocator(10))
    spread.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    spread.minorticks_off()
    curve.set_xlim(0, 101.5)
    curve.set_ylim(0, 101.5)
    curve.set_aspect("equal")
    for axes in (curve, spread):
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.set_xlabel("confidence, %")
    handles, labels = curve.get_legend_handles_labels()
    ideal = Line2D([], [], color=MUTED, lw=0.9)
    figure.legend(
        [*handles, ideal],
        [*labels, "calibrated"],
        loc="outside upper left",
        ncols=min(5, len(runs) + 1),
    )
    return figure


def network_reliability(networks: Mapping[str, DiagnosisRecord]) -> Illustration:
    """The figure of networks, with the errors of each group in words."""
    told = "; ".join(
        f"{name} {number(scores['ece'])} % (predictions of head classes "
        f"{number(scores['head_ece'])}, common {number(scores['common_ece'])}, "
        f"tail {number(scores['tail_ece'])})"
        for name, scores in ((name, record.scores) for name, record in networks.items())
    )
    bins: dict[str, list[Bins]] = {name: [one.calibration] for name, one in networks.items()}
    return _illustration(bins, f"Expected calibration error: {told}.")


def comparison_reliability(comparison: Comparison) -> Illustration | None:
    """The figure of a comparison; None where runs were scored before calibration was counted."""
    scores = {name: [run[comparison.split] for run in r] for name, r in comparison.runs.items()}
    if not all("calibration" in score for several in scores.values() for score in several):
        return None
    bins = {name: [score["calibration"] for score in several] for name, several in scores.items()}
    thin = "Thick lines are all seeds pooled, thin ones single seeds. "
    return _illustration(bins, thin * (len(comparison.seeds) > 1) + _TABLE)


def _illustration(runs: Mapping[str, Sequence[Bins]], told: str) -> Illustration:
    return Illustration(
        "reliability",
        "Calibration",
        reliability_figure(runs),
        f"{_CAPTION} {told}",
        [row for name, several in runs.items() for row in _rows(name, several)],
        f"Lines of correct predictions against confidence for {' and '.join(runs)}. {told}",
    )


def _rows(name: str, several: Sequence[Bins]) -> list[dict[str, Any]]:
    """A row for each run and bin that holds a prediction."""
    return [
        {
            "variant": name,
            "run": run,
            "above": m / len(bins["count"]),
            "up to": (m + 1) / len(bins["count"]),
            "predictions": count,
            "mean confidence": confidence / count,
            "right": correct / count,
        }
        for run, bins in enumerate(several)
        for m, (count, confidence, correct) in enumerate(
            zip(bins["count"], bins["confidence"], bins["correct"], strict=True)
        )
        if count
    ]


def _line(axes: Axes, bins: Mapping[str, Any], **style: Any) -> None:
    """Mean confidence and share of correct predictions of the bins that hold enough."""
    counts, confidences, correct = (
        np.asarray(bins[key], dtype=float) for key in ("count", "confidence", "correct")
    )
    held = counts >= _FEWEST
    right = 100 * correct[held] / counts[held]
    axes.plot(100 * confidences[held] / counts[held], right, **style)


_CAPTION = (
    "Predictions sorted into bins by their confidence, the probability of the predicted class. "
    "Below the diagonal a network is overconfident, above it underconfident. The left panel shows "
    f"bins of {_FEWEST} predictions or more; the calibration error is the mean distance from the "
    "diagonal, weighted by the shares in the right panel."
)
_TABLE = "The table of scores has the calibration error."
