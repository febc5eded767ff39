"""What the counts of a data set say, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from equiseg.data.statistics.profile import DataProfile
from equiseg.report.wording import NONE, count, number

_NAMED = 6


def factor(value: float) -> str:
    """An imbalance factor: 827.5, 30,416.1; a dash where there is none."""
    return NONE if math.isnan(value) else f"{value:,.1f}"


def share(value: float) -> str:
    """A share in percent, to three digits however small."""
    return f"{100 * value:.3g} %"


def ledes(profile: DataProfile) -> list[str]:
    """What the counts say first: how uneven, how tied to their neighbours, how seldom met."""
    sentences = (imbalance_sentence, context_sentence, seldom_sentence)
    return [text for sentence in sentences if (text := sentence(profile))]


def imbalance_sentence(profile: DataProfile) -> str:
    """How far the commonest class and the rarest lie apart, at each level."""
    *others, centers = (factor(level.imbalance_factor) for level in profile.levels)
    factors = [f"{f} in {level.name}" for f, level in zip(others, profile.levels, strict=False)]
    return (
        f"Between the commonest class and the rarest lies a factor of {', '.join(factors)} and, in "
        f"batches of {profile.batch_size} {profile.sample}s, {centers} in centers."
    )


def context_sentence(profile: DataProfile) -> str:
    """How much a neighbour tells of a class; empty where that was not counted."""
    of = profile.context_numbers()
    if not of or math.isnan(of["entropy"]):
        return ""
    unit = profile.unit if profile.voxel_size is None else "voxel"
    text = (
        f"The class of a {unit}'s neighbour tells {_told(of, '')} bits of its own (correlation "
        f"{number(of['neighbour_correlation'], 1, 2)})"
    )
    if not math.isnan(of["border_entropy"]):
        text += f"; where two classes meet, one tells {_told(of, 'border_')} bits of the other"
    return text + "."


def seldom_sentence(profile: DataProfile) -> str:
    """Classes that most batches are without, and what reaches them."""
    centers_K = profile.levels[-1].counts_K.tolist()
    order = sorted(range(len(centers_K)), key=lambda k: centers_K[k])
    seldom = [profile.classes[k] for k in order if 0 < centers_K[k] < 0.5]
    if not seldom:
        return (
            f"Every class that occurs is in most batches of {profile.batch_size} "
            f"{profile.sample}s: a loss can reach it."
        )
    return (
        f"Fewer than half of all batches of {profile.batch_size} {profile.sample}s hold "
        f"{_listed(seldom)}. A loss cannot weigh what its batch does not hold: a sampler "
        "(--data.sampling.by rare_class) draws such classes more often."
    )


def caveats(profile: DataProfile) -> list[str]:
    """What a reader must know of these counts."""
    lines = []
    if absent := profile.absent:
        verb = "occurs" if len(absent) == 1 else "occur"
        lines.append(
            f"{count(len(absent), 'class').capitalize()} never {verb}: {_listed(absent)}. "
            "Measures are over the others."
        )
    if not math.isnan(profile.unlabelled) and profile.unlabelled > 0:
        lines.append(f"{share(profile.unlabelled)} of the {profile.unit}s have no class.")
    if profile.voxel_size is not None:
        lines.append(
            f"Regions and neighbours are those of voxels of {profile.voxel_size:g} m"
            + (", cut at the borders of blocks." if profile.sample == "block" else ".")
        )
    statistics = profile.statistics
    if not profile.counts.num_pixels and statistics.num_images == statistics.images_K.max():
        lines.append(
            f"For the centers the data are taken to have {statistics.num_images:,} "
            f"{profile.sample}s, those of the commonest class."
        )
    return lines


def size_text(profile: DataProfile) -> str:
    """The range of sizes; empty where they were not seen."""
    least, most = profile.counts.smallest, profile.counts.largest
    sides = [f"{a:,}" if a == b else f"{a:,}–{b:,}" for a, b in zip(least, most, strict=True)]
    if not sides:
        return ""
    return f"{' × '.join(sides)} {'points' if len(sides) == 1 else 'pixels (height × width)'}"


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _told(of: dict[str, float], where: str) -> str:
    """Bits told of bits there are."""
    there = of[f"{where}entropy"]
    return f"{number(there - of[f'{where}conditional_entropy'], 1, 2)} of {number(there, 1, 2)}"
