"""The findings about the classes of a data set, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from equiseg.records.data_statistics import DataStatistics
from equiseg.report.wording import NONE, count, number

_NAMED = 6


def factor(value: float) -> str:
    """An imbalance factor: 827.5, 30,416.1; a dash where there is none."""
    return NONE if math.isnan(value) else f"{value:,.1f}"


def share(value: float) -> str:
    """A share in percent, to three digits however small."""
    return f"{100 * value:.3g} %"


def ledes(data: DataStatistics) -> list[str]:
    """The findings: imbalance, context, classes that most batches lack."""
    sentences = (imbalance_sentence, context_sentence, seldom_sentence)
    return [text for sentence in sentences if (text := sentence(data))]


def imbalance_sentence(data: DataStatistics) -> str:
    """The ratio of the most frequent class to the rarest, at each level."""
    *others, centers = (factor(level.imbalance_factor) for level in data.levels)
    factors = [f"{f} in {level.name}" for f, level in zip(others, data.levels, strict=False)]
    return (
        f"The most frequent class exceeds the rarest by a factor of {', '.join(factors)} and, in "
        f"batches of {data.batch_size} {data.sample}s, {centers} in centers."
    )


def context_sentence(data: DataStatistics) -> str:
    """How much a neighbour says about a class; empty where that was not counted."""
    of = data.context
    if not of or math.isnan(of["entropy"]):
        return ""
    unit = data.unit if data.voxel_size is None else "voxel"
    text = (
        f"The class of a neighbouring {unit} explains {_told(of, '')} bits of a class "
        f"(correlation {number(of['neighbour_correlation'], 1, 2)})"
    )
    if not math.isnan(of["border_entropy"]):
        text += f"; at borders between two classes, one explains {_told(of, 'border_')} bits"
    return text + "."


def seldom_sentence(data: DataStatistics) -> str:
    """Classes that most batches lack, and a remedy."""
    centers_K = data.levels[-1].counts_K.tolist()
    order = sorted(range(len(centers_K)), key=lambda k: centers_K[k])
    seldom = [data.classes[k] for k in order if 0 < centers_K[k] < 0.5]
    if not seldom:
        return (
            f"Most batches of {data.batch_size} {data.sample}s hold every class that occurs: a "
            "loss can reach them all."
        )
    return (
        f"Fewer than half of all batches of {data.batch_size} {data.sample}s hold "
        f"{_listed(seldom)}. A loss cannot weight a class that its batch lacks: a sampler "
        "(--data.sampling.by rare_class) draws such classes more often."
    )


def caveats(data: DataStatistics) -> list[str]:
    """Limits of these counts."""
    lines = []
    if absent := data.absent:
        verb = "occurs" if len(absent) == 1 else "occur"
        lines.append(
            f"{count(len(absent), 'class').capitalize()} never {verb}: {_listed(absent)}. "
            "Measures are over the other classes."
        )
    if not math.isnan(data.unlabelled) and data.unlabelled > 0:
        lines.append(f"{share(data.unlabelled)} of the {data.unit}s have no class.")
    if data.voxel_size is not None:
        lines.append(
            f"Regions and neighbours are of voxels of {data.voxel_size:g} m"
            + (", cut at the borders of blocks." if data.sample == "block" else ".")
        )
    if not data.has_sizes and data.num_samples == data.images_K.max():
        lines.append(
            f"The centers assume {data.num_samples:,} {data.sample}s, as many as hold the most "
            "frequent class: the counts do not say how many there are."
        )
    return lines


def size_text(data: DataStatistics) -> str:
    """The range of sizes; empty where they were not seen."""
    least, most = data.smallest, data.largest
    sides = [f"{a:,}" if a == b else f"{a:,}–{b:,}" for a, b in zip(least, most, strict=True)]
    if not sides:
        return ""
    return f"{' × '.join(sides)} {'points' if len(sides) == 1 else 'pixels (height × width)'}"


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _told(of: dict[str, float], where: str) -> str:
    """Bits explained, of all bits."""
    there = of[f"{where}entropy"]
    return f"{number(there - of[f'{where}conditional_entropy'], 1, 2)} of {number(there, 1, 2)}"
