"""Up to two hundred classes of rooms: the forty hand-made ones, then variants of thirty-two.

"chair 2" is a chair with other proportions, parts and colours, in the places and sizes of chairs:
variants are fine-grained classes that differ only in details.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from equiseg.data.synthetic.scans.kinds import KINDS, SHELL, Kind
from equiseg.data.synthetic.scans.shapes import BALL, BOX, ROUND, Part, PartTable
from equiseg.data.synthetic.scans.things import Look
from equiseg.data.synthetic.streams import generator

_SINGLE = ("window", "rug", "door", "curtain", "radiator")  # built in, or little more than a panel
_VARIED = [k for k in range(len(KINDS) - 1, SHELL - 1, -1) if KINDS[k].name not in _SINGLE]
_VERSIONS = range(2, 7)
MOST_CLASSES = len(KINDS) + len(_VARIED) * len(_VERSIONS)


def variant(kind: Kind, number: int) -> Kind:
    """Version `number` of a kind, 2 and up: fixed other proportions, parts and colours.

    Sizes change by up to a third, levels shift (a higher seat, a lower back), bodies turn from
    square to round or back, one in two versions gets a band, and every palette has two colours: one
    of the original kind and one new mixture.
    """
    rng = generator([k.name for k in KINDS].index(kind.name), number)
    size = [side * float(np.exp(rng.uniform(-0.28, 0.28))) for side in kind.size]
    bend = float(np.exp(rng.uniform(-0.45, 0.45)))

    swaps: dict[tuple[float, ...], tuple[bool, float]] = {}
    parts = []
    for part in kind.look.parts:
        lower, upper = (
            (*part.lower[:2], part.lower[2] ** bend),
            (*part.upper[:2], part.upper[2] ** bend),
        )
        # Parts at the same height, such as four legs, change together.
        key = (part.shape, part.colour, *part.lower[2:], *part.upper[2:])
        swap, taper = swaps.setdefault(key, (bool(rng.random() < 0.35), rng.uniform(0.55, 1.0)))
        shape = part.shape
        if swap and min(np.subtract(upper, lower)) > 0:
            shape = BOX if shape >= ROUND else ROUND + 2
        if shape != part.shape:
            part = replace(part, shape=shape, taper=taper if part.shape == BALL else 1.0)
        parts.append(replace(part, lower=lower, upper=upper))
    palettes = tuple(_two_colours(palette, rng) for palette in kind.look.palettes)
    if rng.random() < 0.5:
        largest = max(
            kind.look.parts, key=lambda part: float(np.prod(np.subtract(part.upper, part.lower)))
        )
        parts.append(_band(parts[kind.look.parts.index(largest)], len(palettes), rng))
        palettes = (*palettes, _two_colours(palettes[-1], rng))
    return replace(
        kind,
        name=f"{kind.name} {number}",
        base=kind.name,
        size=(size[0], size[1], size[2]),
        look=Look(tuple(parts), palettes),
        spots=tuple(replace(spot, z=spot.z**bend) for spot in kind.spots),
    )


def _band(part: Part, colour: int, rng: Generator) -> Part:
    """A ring around a part, a little wider than the part."""
    low, high = np.array(part.lower), np.array(part.upper)
    middle, grow = low[2] + rng.uniform(0.3, 0.7) * (high[2] - low[2]), 0.02 * (high - low)
    half = 0.08 * (high[2] - low[2])
    lower = (float(low[0] - grow[0]), float(low[1] - grow[1]), float(middle - half))
    upper = (float(high[0] + grow[0]), float(high[1] + grow[1]), float(middle + half))
    shape = ROUND + 2 if part.shape == BALL else part.shape
    return Part(shape, lower, upper, colour, part.taper)


def _two_colours(palette: np.ndarray, rng: Generator) -> np.ndarray:
    own = palette[rng.integers(len(palette))]
    mixed = rng.dirichlet(np.ones(3), size=3) @ palette[rng.integers(len(palette))]
    moved = np.clip(mixed * rng.uniform(0.7, 1.3), 0.04, 0.96)
    return np.stack([own, moved]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The classes of a room, and their parts as one table.

    Attributes:
        kinds: K kinds, from the most common to the rarest.
        family_K: Id of the original class of each variant; otherwise its own id.
        host_K: Id of the host class, in any variant; its own id for the shell.
        level_K: 0 for the shell, 1 for guests of the shell, 2 for guests of objects.
        order_K: Ids in the order of placing, hosts before guests.
        parts: The parts of all kinds, in order.
        first_K: Row of each kind's first part; `number_K` rows follow.
        number_K: Number of parts of each kind.
        most_K: Largest mean number per room.
        size_K3: Natural sizes, m.
        area_K: Surface of an object of natural size, m².
    """

    kinds: tuple[Kind, ...]
    family_K: np.ndarray
    host_K: np.ndarray
    level_K: np.ndarray
    order_K: np.ndarray
    parts: PartTable
    first_K: np.ndarray
    number_K: np.ndarray
    most_K: np.ndarray
    size_K3: np.ndarray
    area_K: np.ndarray


@lru_cache(maxsize=16)
def catalogue(num_classes: int) -> Catalogue:
    """The first `num_classes` classes: the hand-made kinds, above forty also variants.

    Variants are added one version of every kind at a time, small kinds first. They follow the
    hand-made kinds from large to small, so that rare classes are small objects: with the same
    number of points, a small object appears in more rooms.
    """
    kinds = list(KINDS[:num_classes])
    pairs = [(k, number) for number in _VERSIONS for k in _VARIED][: num_classes - len(kinds)]
    kinds += [variant(KINDS[k], number) for k, number in sorted(pairs)]
    names = [kind.name for kind in kinds]
    family_K = np.array([names.index(kind.base or kind.name) for kind in kinds])
    host_K = np.array([names.index(kind.host) for kind in kinds])
    level_K = (host_K != np.arange(num_classes)).astype(int) + (host_K >= SHELL)
    number_K = np.array([len(kind.look.parts) for kind in kinds])
    parts = PartTable.of([part for kind in kinds for part in kind.look.parts])
    size_K3 = np.array([kind.size for kind in kinds])
    area_M = parts.areas(np.repeat(size_K3, number_K, axis=0))
    return Catalogue(
        kinds=tuple(kinds),
        family_K=family_K,
        host_K=host_K,
        level_K=level_K,
        order_K=np.argsort(level_K, kind="stable"),
        parts=parts,
        first_K=np.cumsum(number_K) - number_K,
        number_K=number_K,
        most_K=np.array([kind.most for kind in kinds], float),
        size_K3=size_K3,
        area_K=np.add.reduceat(area_M, np.cumsum(number_K) - number_K),
    )
