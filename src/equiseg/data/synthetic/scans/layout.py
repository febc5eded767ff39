"""Layout of the built-in scans: numbers, sizes and places of the objects of each class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from equiseg.data.synthetic.scans.kinds import SHELL, Kind
from equiseg.data.synthetic.scans.variants import Catalogue

_SPOTS = 6  # an object takes the emptiest of this many places on its host
_SINK = 0.005  # meters that an object is sunk into its host, so that there is no gap
_NATURAL = 0.0065  # share of a room's points on an object of 1 m²


@dataclass(frozen=True, eq=False)
class Plan:
    """Mean number of objects of each class in a room, and mean number of points on each.

    Attributes:
        rate_K: Mean number per room.
        points_K: Mean points on one, visible or hidden, as a share of the room's points.
    """

    rate_K: np.ndarray
    points_K: np.ndarray

    @classmethod
    def of(cls, shares_K: np.ndarray, seen_K: np.ndarray, kinds: Catalogue) -> Plan:
        """The plan with visible shares `shares_K`: first by more objects, then by more points.

        The natural number of points grows with the root of the surface, as people scan small
        objects from nearer; objects of a class get more points only once `most` or the space on the
        hosts is reached.

        Args:
            shares_K: Planned shares of the visible points.
            seen_K: Visible part of the points of each class.
            kinds: The classes.
        """
        rate_K = np.minimum(kinds.most_K, shares_K / (_NATURAL * kinds.area_K**0.5))
        rate_K[:SHELL] = 1
        for host in np.unique(kinds.host_K):
            guests_K = (kinds.host_K == host) & (np.arange(len(rate_K)) >= SHELL)
            space = kinds.kinds[host].holds * rate_K[kinds.family_K == host].sum()
            rate_K[guests_K] *= min(1.0, space / max(rate_K[guests_K].sum(), 1e-9))
        return cls(rate_K, shares_K / (seen_K * rate_K))


@dataclass(frozen=True, eq=False)
class Room:
    """A furnished room of T objects, wall, floor and ceiling first; meters, the corner at 0.

    Attributes:
        extent_3: Extents of the room.
        k_T: Class ids.
        center_T3: Centers of the objects' boxes.
        size_T3: Extents of the boxes, before they are turned.
        yaw_T: Angles in radians by which they are turned about the vertical.
        points_T: Planned points of each object, as shares of the room's points.
    """

    extent_3: np.ndarray
    k_T: np.ndarray
    center_T3: np.ndarray
    size_T3: np.ndarray
    yaw_T: np.ndarray
    points_T: np.ndarray


def compose(
    kinds: Catalogue, plan: Plan, context: float, strata_2K: np.ndarray, rng: Generator
) -> Room:
    """Furnish a room: numbers, sizes and places of the objects of every class, hosts before guests.

    Args:
        kinds: The classes.
        plan: Mean numbers and points.
        context: Share of objects placed at their host.
        strata_2K: (2, K) numbers in [0, 1) that round the mean numbers to whole ones for this room.
        rng: Random generator.

    Returns:
        The room.
    """
    k_T, keeps_T = _numbers(kinds, plan, context, strata_2K)
    num_things = len(k_T)
    extent_3 = rng.uniform((3.6, 4.5, 2.4), (4.4, 5.5, 2.8))
    # Lognormal sizes and numbers of points whose means are the planned ones.
    spread_T3 = 0.1 * rng.standard_normal((num_things, 1))
    spread_T3 = spread_T3 + 0.05 * rng.standard_normal((num_things, 3))
    size_T3 = np.minimum(kinds.size_K3[k_T] * np.exp(spread_T3), 0.9 * extent_3)
    size_T3[:SHELL] = extent_3
    points_T = plan.points_K[k_T] * np.exp(0.3 * rng.standard_normal(num_things) - 0.045)
    center_T3 = np.tile(extent_3 / 2, (num_things, 1))
    room = Room(extent_3, k_T, center_T3, size_T3, np.zeros(num_things), points_T)

    half_T3 = size_T3 / 2  # of the upright boxes around the turned objects
    for t in range(SHELL, num_things):
        k = k_T[t]
        if keeps_T[t]:
            hosts = np.flatnonzero(kinds.family_K[k_T[:t]] == kinds.host_K[k])
            center_S3, yaw_S = _on_host(room, t, kinds.kinds[k], hosts, kinds, rng)
        else:
            center_S3, yaw_S = _anywhere(room, t, rng)
        half_S3 = _upright(size_T3[t], yaw_S)
        gap_ST3 = np.abs(center_S3[:, None] - center_T3[SHELL:t])
        overlap_ST = np.maximum(half_S3[:, None] + half_T3[SHELL:t] - gap_ST3, 0).prod(axis=2)
        s = overlap_ST.sum(axis=1).argmin()
        center_T3[t], room.yaw_T[t], half_T3[t] = center_S3[s], yaw_S[s], half_S3[s]
    return room


def _numbers(
    kinds: Catalogue, plan: Plan, context: float, strata_2K: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Class ids of the objects (T,), hosts before guests, and whether each is at its host."""
    rate_K, K = plan.rate_K, len(plan.rate_K)
    count_K, kept_K = np.zeros((2, K), int)
    count_K[:SHELL] = 1
    free_K = ((1 - context) * rate_K + strata_2K[1]).astype(int)
    meant_K = np.bincount(kinds.family_K, rate_K, K)[kinds.host_K]
    for level in (1, 2):
        # Each host draws its share of the guests, so their number does not depend on the context.
        crowd_K = np.bincount(kinds.family_K, count_K, K)[kinds.host_K] / meant_K
        here_K = kinds.level_K == level
        kept_K[here_K] = (context * rate_K * crowd_K + strata_2K[0]).astype(int)[here_K]
        count_K[here_K] = (kept_K + free_K)[here_K]
    number_K = count_K[kinds.order_K]
    k_T = np.repeat(kinds.order_K, number_K)
    nth_T = np.arange(len(k_T)) - np.repeat(np.cumsum(number_K) - number_K, number_K)
    return k_T, nth_T < kept_K[k_T]


def _upright(size_3: np.ndarray, yaw_S: np.ndarray) -> np.ndarray:
    """Half extents (S, 3) of the upright boxes around a box turned by each angle."""
    cos, sin = np.abs(np.cos(yaw_S)), np.abs(np.sin(yaw_S))
    width, depth, height = size_3 / 2
    across, along = cos * width + sin * depth, sin * width + cos * depth
    return np.stack([across, along, np.full_like(across, height)], axis=1)


def _anywhere(room: Room, t: int, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """One place and angle for an object anywhere between the walls."""
    yaw_S = rng.uniform(-math.pi, math.pi, 1)
    free_S3 = np.maximum(room.extent_3 - 2 * _upright(room.size_T3[t], yaw_S), 0)
    return room.extent_3 / 2 + (rng.random((1, 3)) - 0.5) * free_S3, yaw_S


def _on_host(
    room: Room, t: int, kind: Kind, hosts: np.ndarray, kinds: Catalogue, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A few places and angles for an object on its host."""
    width, depth, height = room.size_T3[t]
    u_S, v_S = rng.random((2, _SPOTS))
    turn_S = math.radians(kind.turn) * rng.uniform(-1, 1, _SPOTS)
    bottom_S = rng.uniform(*kind.bottom, _SPOTS) if kind.bottom else None
    if kind.host == "wall" or kind.against:
        gap_S = -_SINK if kind.host == "wall" else 0.08 * v_S
        return _by_wall(room, (width, depth, height), u_S, gap_S, bottom_S, rng)
    if kind.host in ("floor", "ceiling"):
        # Between the walls, whatever its turn; lamps near the middle of the ceiling.
        yaw_S = turn_S + math.pi / 2 * rng.integers(4, size=_SPOTS)
        half_S3 = _upright(room.size_T3[t], yaw_S)
        free_S2 = np.maximum(room.extent_3[:2] - 2 * half_S3[:, :2], 0)
        if kind.host == "ceiling":
            free_S2 = free_S2 * 0.6
        x_S, y_S = (room.extent_3[:2] / 2 + (np.stack([u_S, v_S], 1) - 0.5) * free_S2).T
        low = -_SINK if kind.host == "floor" else room.extent_3[2] + _SINK - height
        return np.stack([x_S, y_S, np.full(_SPOTS, low + height / 2)], axis=1), yaw_S

    host_S = hosts[rng.integers(len(hosts), size=_SPOTS)]
    spots = [kinds.kinds[k].spots for k in room.k_T[host_S]]
    rows = [
        of[int(i)] for of, i in zip(spots, rng.random(_SPOTS) * [*map(len, spots)], strict=True)
    ]
    x0, x1, y0, y1, z = np.array([(s.x0, s.x1, s.y0, s.y1, s.z) for s in rows]).T
    wide_S, deep_S, high_S = room.size_T3[host_S].T
    # The object stays within the patch if the patch is large enough.
    x_S = (x0 + x1 - 1) / 2 * wide_S + (u_S - 0.5) * np.maximum((x1 - x0) * wide_S - width, 0)
    y_S = (y0 + y1 - 1) / 2 * deep_S + (v_S - 0.5) * np.maximum((y1 - y0) * deep_S - depth, 0)
    low_S = room.center_T3[host_S, 2] + (z - 0.5) * high_S - _SINK
    yaw_S = room.yaw_T[host_S]
    cos, sin = np.cos(yaw_S), np.sin(yaw_S)
    center_S3 = np.stack([cos * x_S - sin * y_S, sin * x_S + cos * y_S, low_S], axis=1)
    center_S3[:, :2] += room.center_T3[host_S, :2]
    if bottom_S is not None:
        center_S3[:, 2] = bottom_S
    center_S3[:, 2] += height / 2
    return center_S3, yaw_S + turn_S


def _by_wall(
    room: Room,
    size: tuple[float, float, float],
    along_S: np.ndarray,
    gap_S: np.ndarray | float,
    bottom_S: np.ndarray | None,
    rng: Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Places with the back to one of the four walls, `gap_S` from it."""
    (width, depth, height), (long_x, long_y, high) = size, room.extent_3
    wall_S = rng.integers(4, size=_SPOTS)
    length_S = np.where(wall_S % 2 == 0, long_x, long_y)
    s, d = along_S * (length_S - width) + width / 2, depth / 2 + gap_S
    x_S = np.choose(wall_S, [s, long_x - d, long_x - s, d + 0 * s])
    y_S = np.choose(wall_S, [d + 0 * s, s, long_y - d, long_y - s])
    low_S = np.full(_SPOTS, -_SINK) if bottom_S is None else np.minimum(bottom_S, high - height)
    return np.stack([x_S, y_S, low_S + height / 2], axis=1), wall_S * (math.pi / 2)
