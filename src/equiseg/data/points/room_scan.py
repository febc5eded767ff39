"""What a scanner sees of a built-in room: points on surfaces, less the hidden ones, in colour."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from equiseg.data.points.room_kinds import SHELL
from equiseg.data.points.room_layout import Room
from equiseg.data.points.room_shapes import PartTable, inside, surface_points
from equiseg.data.points.room_variants import Catalogue

_STANDS = 3  # places the room is scanned from
_NOISE = 0.005  # meters


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
        in an order that tells nothing.
    """
    number_T = kinds.number_K[room.k_T]
    thing_M = np.repeat(np.arange(len(room.k_T)), number_T)
    nth_M = np.arange(len(thing_M)) - np.repeat(np.cumsum(number_T) - number_T, number_T)
    parts = kinds.parts.take(kinds.first_K[room.k_T[thing_M]] + nth_M)
    size_T3 = room.size_T3.astype(np.float32)
    middle_M3, size_M3 = parts.middle_M3 * size_T3[thing_M], parts.extent_M3 * size_T3[thing_M]

    # Points of a thing lie at even steps of its surface: every part gets its due.
    area_M = parts.areas(size_T3[thing_M])
    surface_T = np.bincount(thing_M, area_M)
    start_T = np.cumsum(surface_T) - surface_T
    asked_T = (room.points_T * points + rng.random(len(room.k_T))).astype(int)
    thing_N = np.repeat(np.arange(len(room.k_T)), asked_T)
    step_N = np.arange(len(thing_N)) - np.repeat(np.cumsum(asked_T) - asked_T, asked_T)
    step_N = (step_N + rng.random(len(room.k_T))[thing_N]) / asked_T[thing_N]
    reached_N = start_T[thing_N] + step_N * surface_T[thing_N]
    part_N = np.minimum(np.searchsorted(np.cumsum(area_M), reached_N), len(area_M) - 1)

    unit_N3, normal_N3 = surface_points(parts.take(part_N), size_M3[part_N], rng)
    xyz_N3 = unit_N3 * size_M3[part_N] + middle_M3[part_N]
    xyz_N3, normal_N3 = (
        _turned(xyz_N3, room.yaw_T[thing_N]),
        _turned(normal_N3, room.yaw_T[thing_N]),
    )
    xyz_N3 += room.center_T3.astype(np.float32)[thing_N]

    seen_N = _faces_a_stand(xyz_N3, normal_N3, room, rng)
    flat_M = (parts.extent_M3 == 0).any(axis=1)  # a panel is seen from either side
    seen_N |= flat_M[part_N]
    seen_N &= ~_buried(xyz_N3, part_N, room, parts, middle_M3, size_M3, thing_M)

    colour_M3, wave_M = _paint(room, kinds, thing_M, parts, rng)
    stripes_N = np.einsum("nc,nc->n", unit_N3, parts.waves_M3[part_N])
    rgb_N3 = (
        colour_M3[part_N] * (1 + wave_M[part_N] * np.sign(np.sin(2 * np.pi * stripes_N)))[:, None]
    )
    ids = np.flatnonzero(seen_N)
    ids = ids[rng.permutation(len(ids))]
    xyz_N3, rgb_N3, normal_N3 = xyz_N3[ids], rgb_N3[ids], normal_N3[ids]
    rgb_N3 = _lit(rgb_N3, xyz_N3, normal_N3, room, rng)
    xyz_N3 += np.float32(_NOISE) * rng.standard_normal(xyz_N3.shape, np.float32)
    return xyz_N3, rgb_N3, room.k_T[thing_N[ids]].astype(np.uint8)


def _turned(vectors_N3: np.ndarray, yaw_N: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(yaw_N).astype(np.float32), np.sin(yaw_N).astype(np.float32)
    x, y, z = vectors_N3.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)


def _faces_a_stand(
    xyz_N3: np.ndarray, normal_N3: np.ndarray, room: Room, rng: Generator
) -> np.ndarray:
    """Whether a surface is turned towards one of the places that the room is scanned from."""
    low, high = np.array([0.2, 0.2, 0.5]), np.array([0.8, 0.8, 0.7])
    stands = (room.extent_3 * rng.uniform(low, high, (_STANDS, 3))).astype(np.float32)
    facing_NS = normal_N3 @ stands.T - np.einsum("nc,nc->n", normal_N3, xyz_N3)[:, None]
    return np.asarray(facing_NS.max(axis=1) > 0)


def _buried(
    xyz_N3: np.ndarray,
    part_N: np.ndarray,
    room: Room,
    parts: PartTable,
    middle_M3: np.ndarray,
    size_M3: np.ndarray,
    thing_M: np.ndarray,
) -> np.ndarray:
    """Whether a point lies inside a part other than its own, or outside the room."""
    slack = np.float32(1e-4)
    out_N = ((xyz_N3 < -slack) | (xyz_N3 > room.extent_3.astype(np.float32) + slack)).any(axis=1)
    first_T = np.searchsorted(thing_M, np.arange(len(room.k_T) + 1))
    half_M3 = np.maximum(size_M3, np.float32(1e-6))
    x_N, y_N, z_N = xyz_N3.T.copy()
    for t in range(SHELL, len(room.k_T)):
        (x, y, z), (width, depth, height) = room.center_T3[t], room.size_T3[t]
        radius = 0.5 * float(np.hypot(width, depth)) + 0.02
        near = np.abs(x_N - x) < radius
        near &= np.abs(y_N - y) < radius
        near &= np.abs(z_N - z) < 0.55 * height
        rows = np.flatnonzero(near)
        own = slice(first_T[t], first_T[t + 1])
        local_N3 = _turned(xyz_N3[rows] - room.center_T3[t].astype(np.float32), -room.yaw_T[t])
        unit_NP3 = (local_N3[:, None] - middle_M3[own]) / half_M3[own]
        within = inside(parts.take(np.arange(own.start, own.stop)), unit_NP3)
        within &= part_N[rows][:, None] != np.arange(own.start, own.stop)
        out_N[rows] |= within.any(axis=1)
    return out_N


def _paint(
    room: Room, kinds: Catalogue, thing_M: np.ndarray, parts: PartTable, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A colour for every part (M, 3), one a thing and colour number, and how strong its stripes."""
    jitter_T3 = 0.04 * rng.standard_normal((len(room.k_T), 3), np.float32)
    pick_TC = rng.random((len(room.k_T), 1 + parts.colour_M.max()))
    colour_M3 = np.empty((len(thing_M), 3), np.float32)
    for m, (t, c) in enumerate(zip(thing_M, parts.colour_M, strict=True)):
        palette = kinds.kinds[room.k_T[t]].look.palettes[c]
        colour_M3[m] = palette[int(pick_TC[t, c] * len(palette))]
    wave_T = rng.choice(np.array([0, 0.1, 0.25], np.float32), len(room.k_T))
    return np.clip(colour_M3 + jitter_T3[thing_M], 0.04, 0.96), wave_T[thing_M]


def _lit(
    rgb_N3: np.ndarray, xyz_N3: np.ndarray, normal_N3: np.ndarray, room: Room, rng: Generator
) -> np.ndarray:
    """Light from above and one side, falling off across the room; tint, exposure and noise."""
    light_3 = np.array([*rng.uniform(-0.6, 0.6, 2), 0.8])
    falloff_3 = np.array([*rng.uniform(-0.2, 0.2, 2), 0.1]) / room.extent_3
    shade_N = 0.85 + 0.15 * normal_N3 @ light_3.astype(np.float32)
    shade_N += (xyz_N3 - room.extent_3 / 2).astype(np.float32) @ falloff_3.astype(np.float32)
    warmth = rng.uniform(-0.1, 0.1)
    cast_3 = rng.uniform(0.75, 1.15) * np.array([1 + warmth, 1, 1 - warmth])
    rgb_N3 = rgb_N3 * shade_N[:, None] * cast_3.astype(np.float32)
    noise = np.float32(rng.uniform(0.01, 0.04))
    return np.clip(rgb_N3 + noise * rng.standard_normal(rgb_N3.shape, np.float32), 0, 1)
