"""Scanning of a built-in room: coloured points on the visible surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from equiseg.data.synthetic.scans.kinds import SHELL
from equiseg.data.synthetic.scans.layout import Room
from equiseg.data.synthetic.scans.shapes import PartTable, inside, surface_points
from equiseg.data.synthetic.scans.variants import Catalogue

_STANDS = 3  # positions of the scanner
_NOISE = 0.005  # meters
_STRIPES = np.array([0, 0.1, 0.25], np.float32)  # how much darker and lighter they are


def scan(
    room: Room, kinds: Catalogue, points: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scan a room.

    Args:
        room: The furnished room.
        kinds: The classes.
        points: Mean number of points of a room.
        rng: Random generator.

    Returns:
        Places (N, 3) in meters, float32, RGB in [0, 1] (N, 3), float32, and class ids (N,), uint8,
        in random order.
    """
    bodies = _Bodies.of(room, kinds)
    shape_M, taper_M = bodies.parts.shape_M, bodies.parts.taper_M
    part_N = _shared_out(bodies, room, points, rng)
    size_N3 = bodies.size_M3[part_N]
    unit_N3, normal_N3 = surface_points(shape_M[part_N], taper_M[part_N], size_N3, rng)
    thing_N = bodies.thing_M[part_N]
    xyz_N3 = _turned(unit_N3 * size_N3 + bodies.middle_M3[part_N], room.yaw_T, thing_N)
    xyz_N3 += room.center_T3.astype(np.float32)[thing_N]
    normal_N3 = _turned(normal_N3, room.yaw_T, thing_N)

    # A panel is visible from both sides; other surfaces only where they face a scanner position.
    flat_M = (bodies.parts.extent_M3 == 0).any(axis=1)
    rows = np.flatnonzero(_faces_a_stand(xyz_N3, normal_N3, room, rng) | flat_M[part_N])
    rows = rows[~_buried(xyz_N3[rows], part_N[rows], room, bodies)]
    rows = rows[rng.permutation(len(rows))]
    part_N, unit_N3, xyz_N3, normal_N3 = part_N[rows], unit_N3[rows], xyz_N3[rows], normal_N3[rows]

    colour_M3, stripes_M = _paint(room, kinds, bodies, rng)
    wave_N = np.einsum("nc,nc->n", unit_N3, bodies.parts.waves_M3[part_N])
    stripe_N = stripes_M[part_N] * np.sign(np.sin(np.float32(2 * np.pi) * wave_N))
    rgb_N3 = _lit(colour_M3[part_N] * (1 + stripe_N[:, None]), xyz_N3, normal_N3, room, rng)
    xyz_N3 += np.float32(_NOISE) * rng.standard_normal(xyz_N3.shape, np.float32)
    return xyz_N3, rgb_N3, room.k_T[bodies.thing_M[part_N]].astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Bodies:
    """The M bodies of all objects of a room, in the order of the objects.

    Attributes:
        parts: Shapes and colours of the bodies.
        thing_M: The object that each belongs to.
        middle_M3: Middles in meters from the object's center, before it is turned.
        size_M3: Extents in meters.
        area_M: Surfaces, m².
    """

    parts: PartTable
    thing_M: np.ndarray
    middle_M3: np.ndarray
    size_M3: np.ndarray
    area_M: np.ndarray

    @classmethod
    def of(cls, room: Room, kinds: Catalogue) -> _Bodies:
        number_T = kinds.number_K[room.k_T]
        thing_M = np.repeat(np.arange(len(room.k_T)), number_T)
        nth_M = np.arange(len(thing_M)) - np.repeat(np.cumsum(number_T) - number_T, number_T)
        parts = kinds.parts.take(kinds.first_K[room.k_T[thing_M]] + nth_M)
        size_M3 = room.size_T3.astype(np.float32)[thing_M]
        middle_M3, extent_M3 = parts.middle_M3 * size_M3, parts.extent_M3 * size_M3
        return cls(parts, thing_M, middle_M3, extent_M3, parts.areas(size_M3))


def _shared_out(bodies: _Bodies, room: Room, points: int, rng: Generator) -> np.ndarray:
    """The body of every point (N,), in even steps over the surface of its object."""
    surface_T = np.bincount(bodies.thing_M, bodies.area_M)
    asked_T = (room.points_T * points + rng.random(len(room.k_T))).astype(int)
    thing_N = np.repeat(np.arange(len(room.k_T)), asked_T)
    nth_N = np.arange(len(thing_N)) - np.repeat(np.cumsum(asked_T) - asked_T, asked_T)
    step_T, start_T = surface_T / np.maximum(asked_T, 1), np.cumsum(surface_T) - surface_T
    first_T = start_T + step_T * rng.random(len(room.k_T))
    reached_N = first_T[thing_N] + step_T[thing_N] * nth_N
    part_N = np.searchsorted(np.cumsum(bodies.area_M), reached_N)
    return np.asarray(np.minimum(part_N, len(bodies.area_M) - 1))


def _turned(vectors_N3: np.ndarray, yaw_T: np.ndarray, thing_N: np.ndarray) -> np.ndarray:
    """Vectors turned about the vertical with their objects."""
    cos_N = np.cos(yaw_T).astype(np.float32)[thing_N]
    sin_N = np.sin(yaw_T).astype(np.float32)[thing_N]
    x, y, z = vectors_N3.T
    return np.stack([cos_N * x - sin_N * y, sin_N * x + cos_N * y, z], axis=1)


def _faces_a_stand(
    xyz_N3: np.ndarray, normal_N3: np.ndarray, room: Room, rng: Generator
) -> np.ndarray:
    """Whether a surface faces one of the scanner positions."""
    stands_S3 = room.extent_3 * rng.uniform((0.2, 0.2, 0.5), (0.8, 0.8, 0.7), (_STANDS, 3))
    offset_N = np.einsum("nc,nc->n", normal_N3, xyz_N3)
    facing_N = np.zeros(len(xyz_N3), bool)
    for stand_3 in stands_S3.astype(np.float32):
        facing_N |= normal_N3 @ stand_3 > offset_N
    return facing_N


def _buried(xyz_N3: np.ndarray, part_N: np.ndarray, room: Room, bodies: _Bodies) -> np.ndarray:
    """Whether a point lies inside a body other than its own, or outside the room."""
    x_N, y_N, z_N = columns = np.ascontiguousarray(xyz_N3.T)
    high_3 = room.extent_3 + 1e-4
    buried_N = (columns.min(axis=0) < -1e-4) | (x_N > high_3[0]) | (y_N > high_3[1])
    buried_N |= z_N > high_3[2]
    first_T = np.searchsorted(bodies.thing_M, np.arange(len(room.k_T) + 1))
    inverse_M3 = 1 / np.maximum(bodies.size_M3, np.float32(1e-6))
    for t in range(SHELL, len(room.k_T)):
        (x, y, z), (width, depth, height) = room.center_T3[t], room.size_T3[t]
        cos, sin = np.float32(np.cos(room.yaw_T[t])), np.float32(np.sin(room.yaw_T[t]))
        across, along = width * abs(cos) + depth * abs(sin), width * abs(sin) + depth * abs(cos)
        # A band may extend beyond its object's box by 2 %.
        near_N = np.abs(x_N - np.float32(x)) < 0.52 * across
        near_N &= np.abs(y_N - np.float32(y)) < 0.52 * along
        near_N &= np.abs(z_N - np.float32(z)) < 0.52 * height
        rows = np.flatnonzero(near_N)
        dx, dy = x_N[rows] - np.float32(x), y_N[rows] - np.float32(y)
        local_3N = np.stack([cos * dx + sin * dy, cos * dy - sin * dx, z_N[rows] - np.float32(z)])
        own = np.arange(first_T[t], first_T[t + 1])
        unit_3PN = local_3N[:, None] - bodies.middle_M3[own].T[:, :, None]
        unit_3PN *= inverse_M3[own].T[:, :, None]
        within_PN = inside(bodies.parts.take(own), unit_3PN)
        within_PN &= part_N[rows] != own[:, None]
        buried_N[rows] |= within_PN.any(axis=0)
    return np.asarray(buried_N)


def _paint(
    room: Room, kinds: Catalogue, bodies: _Bodies, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the bodies (M, 3), one per object and colour number; contrast of the stripes."""
    jitter_T3 = 0.04 * rng.standard_normal((len(room.k_T), 3), np.float32)
    pick_TC = rng.random((len(room.k_T), int(bodies.parts.colour_M.max()) + 1))
    stripes_T = rng.choice(_STRIPES, len(room.k_T))
    colour_M3 = np.empty_like(bodies.size_M3)
    for m, (t, c) in enumerate(zip(bodies.thing_M, bodies.parts.colour_M, strict=True)):
        palette = kinds.kinds[room.k_T[t]].look.palettes[c]
        colour_M3[m] = palette[int(pick_TC[t, c] * len(palette))]
    colour_M3 += jitter_T3[bodies.thing_M]
    return np.clip(colour_M3, 0.04, 0.96), stripes_T[bodies.thing_M]


def _lit(
    rgb_N3: np.ndarray, xyz_N3: np.ndarray, normal_N3: np.ndarray, room: Room, rng: Generator
) -> np.ndarray:
    """Light from above and one side, falling off across the room; tint, exposure and noise."""
    light_3 = np.array([*rng.uniform(-0.6, 0.6, 2), 0.8], np.float32)
    falloff_3 = np.array([*rng.uniform(-0.2, 0.2, 2), 0.1]) / room.extent_3
    shade_N = 0.85 - float(falloff_3 @ room.extent_3 / 2) + xyz_N3 @ falloff_3.astype(np.float32)
    shade_N += np.float32(0.15) * (normal_N3 @ light_3)
    warmth = rng.uniform(-0.1, 0.1)
    cast_3 = rng.uniform(0.75, 1.15) * np.array([1 + warmth, 1, 1 - warmth])
    rgb_N3 = rgb_N3 * shade_N[:, None] * cast_3.astype(np.float32)
    rgb_N3 += np.float32(rng.uniform(0.01, 0.04)) * rng.standard_normal(rgb_N3.shape, np.float32)
    return np.asarray(np.clip(rgb_N3, 0, 1))
