"""Shapes of the objects of a built-in room: boxes, round bodies, balls and their surfaces.

An object has its own axes: x across, y from back to front, z up. Parts are placed by shares of the
object's box, 0 to 1, so that one description serves every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

BOX, BALL, ROUND = 0, 1, 2  # ROUND + a is a round body along axis a
_THIN = np.float32(1e-6)  # keeps a panel without thickness from dividing by zero


@dataclass(frozen=True)
class Part:
    """One body of an object.

    Attributes:
        shape: BOX, BALL (an ellipsoid), or ROUND + axis (cylinders, cones, discs).
        lower: Lower corner, in shares of the object's box.
        upper: Upper corner.
        colour: Number of the palette for its colour.
        taper: Upper radius of a round body over its lower radius.
        waves: Stripes along x, y and z over the part, dark and light pairs.
    """

    shape: int
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    colour: int = 0
    taper: float = 1.0
    waves: tuple[float, float, float] = (0, 0, 0)


Range = tuple[float, float]  # lower and upper bound along an axis, shares of the object's box


Corner = tuple[float, float, float]


def _corners(x: Range, y: Range, z: Range) -> tuple[Corner, Corner]:
    """Lower and upper corner."""
    return (x[0], y[0], z[0]), (x[1], y[1], z[1])


def box(
    x: Range,
    y: Range,
    z: Range,
    colour: int = 0,
    waves: tuple[float, float, float] = (0, 0, 0),
) -> Part:
    """A box; without thickness along one axis it is a panel."""
    return Part(BOX, *_corners(x, y, z), colour, waves=waves)


def ball(
    x: Range,
    y: Range,
    z: Range,
    colour: int = 0,
    waves: tuple[float, float, float] = (0, 0, 0),
) -> Part:
    """An ellipsoid."""
    return Part(BALL, *_corners(x, y, z), colour, waves=waves)


def body(
    x: Range,
    y: Range,
    z: Range,
    colour: int = 0,
    taper: float = 1.0,
    axis: int = 2,
) -> Part:
    """A cylinder or a cut cone along an axis, upright by default."""
    return Part(ROUND + axis, *_corners(x, y, z), colour, taper)


@dataclass(frozen=True, eq=False)
class PartTable:
    """The parts of several objects as arrays over all M parts.

    Attributes:
        shape_M: Shape codes.
        middle_M3: Middles, shares of the object's box measured from its center.
        extent_M3: Extents, shares of the object's box.
        colour_M: Palettes.
        taper_M: Tapers.
        waves_M3: Stripes.
    """

    shape_M: np.ndarray
    middle_M3: np.ndarray
    extent_M3: np.ndarray
    colour_M: np.ndarray
    taper_M: np.ndarray
    waves_M3: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Part]) -> PartTable:
        """The table of these parts."""
        lower = np.array([p.lower for p in parts], np.float32)
        upper = np.array([p.upper for p in parts], np.float32)
        return cls(
            np.array([p.shape for p in parts]),
            (lower + upper) / 2 - np.float32(0.5),
            upper - lower,
            np.array([p.colour for p in parts]),
            np.array([p.taper for p in parts], np.float32),
            np.array([p.waves for p in parts], np.float32),
        )

    def take(self, rows: np.ndarray) -> PartTable:
        """The parts at these rows."""
        return PartTable(**{name: values[rows] for name, values in vars(self).items()})

    def areas(self, size_M3: np.ndarray) -> np.ndarray:
        """Surface of every part in m², (M,), in objects of these sizes (M, 3).

        Exact for boxes, balls and bodies of round section, approximate for oval ones.
        """
        a, b, c = np.moveaxis(self.extent_M3 * size_M3, 1, 0)
        area_M = 2 * (a * b + b * c + c * a)
        p = 1.6075  # Thomsen's formula for ellipsoids, within 1.1 %
        mean = ((a * b) ** p + (b * c) ** p + (c * a) ** p) / 3
        area_M = np.where(self.shape_M == BALL, np.pi * mean ** (1 / p), area_M)
        for axis in range(3):
            u, v, w = [(a, b, c)[(axis + i) % 3] for i in (1, 2, 3)]
            side, caps = _round_areas(u, v, w, self.taper_M)
            area_M = np.where(self.shape_M == ROUND + axis, side + caps.sum(0), area_M)
        return np.asarray(area_M)


def _round_areas(
    u: np.ndarray, v: np.ndarray, w: np.ndarray, taper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas of the side and of the lower and the upper cap of bodies u by v wide and w long."""
    widest = np.maximum(taper, 1)
    low, high = 1 / widest, taper / widest
    radius = (u + v) / 4
    slant = np.sqrt(w**2 + (radius * (low - high)) ** 2)
    return np.pi * radius * (low + high) * slant, np.pi / 4 * u * v * np.stack([low**2, high**2])


def surface_points(
    shape_N: np.ndarray, taper_N: np.ndarray, size_N3: np.ndarray, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One point on each of N bodies, uniform by area.

    Args:
        shape_N: (N,) shape codes.
        taper_N: (N,) tapers of round bodies.
        size_N3: (N, 3) float32, sizes in meters.
        rng: Random generator.

    Returns:
        Places (N, 3) from the middle of the body in shares of its size, -0.5 to 0.5, and outward
        normals (N, 3) of length 1; both float32.
    """
    unit_N3, normal_N3 = np.zeros_like(size_N3), np.zeros_like(size_N3)
    for shape in (BOX, BALL, ROUND, ROUND + 1, ROUND + 2):
        rows = np.flatnonzero(shape_N == shape)
        if not len(rows):
            continue
        # A round body is sampled upright, then turned onto its axis.
        turn = shape - ROUND + 1 if shape >= ROUND else 0
        axes = [(turn + i) % 3 for i in range(3)]
        draw = _on_box if shape == BOX else _on_ball if shape == BALL else _on_round
        unit, normal = draw(size_N3[rows][:, axes], taper_N[rows], rng)
        back = np.argsort(axes)
        unit_N3[rows], normal_N3[rows] = unit[:, back], normal[:, back]
    return unit_N3, normal_N3


def _on_box(size: np.ndarray, taper: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    n = len(size)
    faces = np.cumsum(size[:, (1, 2, 0)] * size[:, (2, 0, 1)], axis=1)  # across x, y, z
    pick = rng.random(n, np.float32) * faces[:, 2]
    axis = (pick >= faces[:, 0]).astype(np.intp) + (pick >= faces[:, 1])
    side = np.where(rng.random(n, np.float32) < 0.5, np.float32(-1), np.float32(1))
    unit, normal = rng.random((n, 3), np.float32) - np.float32(0.5), np.zeros_like(size)
    unit[np.arange(n), axis], normal[np.arange(n), axis] = side / 2, side
    return unit, normal


def _on_ball(size: np.ndarray, taper: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    # Points on a sphere become sparse where the ellipsoid stretches it. One of four points is drawn
    # with probability proportional to the stretch, which corrects this to within a few percent.
    unit_N43 = _normalized(rng.standard_normal((len(size), 4, 3), np.float32))
    across_N3 = size[:, (1, 2, 0)] * size[:, (2, 0, 1)]
    stretch_N4 = np.sqrt(((unit_N43 * across_N3[:, None]) ** 2).sum(axis=2)).cumsum(axis=1)
    pick_N = rng.random(len(size), np.float32) * stretch_N4[:, 3]
    chosen_N = np.minimum((stretch_N4 <= pick_N[:, None]).sum(axis=1), 3)
    unit = unit_N43[np.arange(len(size)), chosen_N]
    return unit / 2, _normalized(unit / np.maximum(size, _THIN))


def _on_round(size: np.ndarray, taper: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    n = len(size)
    side, (lower, upper) = _round_areas(size[:, 0], size[:, 1], size[:, 2], taper)
    pick = rng.random(n, np.float32) * (side + lower + upper)
    cap = np.where(pick < side, 0, np.where(pick < side + lower, -1, 1)).astype(np.float32)
    # The probability is proportional to the radius, along the side and across a cap.
    v, widest = rng.random(n, np.float32), np.maximum(taper, 1)
    along = np.where(
        cap == 0,
        v * (1 + taper) / (1 + np.sqrt(1 - v * (1 - taper**2))),
        (cap + 1) / 2,
    )
    radius = (1 + (taper - 1) * along) / widest
    radius *= np.where(cap == 0, 1, np.sqrt(v))
    angle = np.float32(2 * np.pi) * rng.random(n, np.float32)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    unit = np.column_stack([around * (radius / 2)[:, None], along - np.float32(0.5)])
    across = around * size[:, (1, 0)]  # normal of an oval: its other axis stretches it
    rise = (1 - taper) / widest * size[:, 0] * size[:, 1] / (2 * np.maximum(size[:, 2], _THIN))
    normal = np.where(
        cap[:, None] == 0,
        _normalized(np.column_stack([across, rise])),
        cap[:, None] * np.array([0, 0, 1], np.float32),
    )
    return unit.astype(np.float32), normal.astype(np.float32)


def _normalized(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("...c,...c->...", vectors, vectors))
    return np.asarray(vectors / np.maximum(length, _THIN)[..., None])


def inside(parts: PartTable, unit_3PN: np.ndarray) -> np.ndarray:
    """Whether each of N points lies inside each of P parts.

    Args:
        parts: P parts.
        unit_3PN: (3, P, N) places from the middle of each part in shares of its size.

    Returns:
        (P, N) bool.
    """
    x, y, z = np.abs(unit_3PN) < 0.5
    within_PN = x & y & z
    for p in np.flatnonzero(parts.shape_M != BOX):
        square_3N = unit_3PN[:, p] ** 2
        if parts.shape_M[p] == BALL:
            within_PN[p] = square_3N.sum(axis=0) < 0.25
        else:
            axis, taper = parts.shape_M[p] - ROUND, parts.taper_M[p]
            radius_N = (1 + (taper - 1) * (unit_3PN[axis, p] + 0.5)) / max(taper, 1)
            square_3N[axis] = 0
            within_PN[p] &= square_3N.sum(axis=0) < (radius_N / 2) ** 2
    return np.asarray(within_PN)
