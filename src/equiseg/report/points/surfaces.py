"""Which point of a cloud each pixel of a picture shows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

FINE = 2  # pixels drawn for each pixel shown, each way: smooth edges
_DOT, _GAP = 0.9, 2.5  # spacings: radius of a dot, and how far a gap is closed
_AROUND = 6  # of 8 directions hold points around what is a gap, not an outside


def nearest(
    rows_N: np.ndarray,
    columns_N: np.ndarray,
    height_N: np.ndarray,
    points_M: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """The point nearest to the viewer in each pixel; -1 where there is none."""
    points_M = points_M[np.argsort(height_N[points_M], kind="stable")]
    point_HW = np.full(shape, -1, dtype=np.int32)
    point_HW[rows_N[points_M], columns_N[points_M]] = points_M  # the last one stays
    return point_HW


def surfaces(point_HW: np.ndarray, height_N: np.ndarray) -> tuple[np.ndarray, float]:
    """The point that each pixel shows, surfaces closed, and the median distance of points."""
    front_HW = point_HW.copy()
    spacing_HW, spacing = _spacing(front_HW >= 0)
    for _ in range(2):  # at first, what is hidden passes for density
        _hide(front_HW, height_N, 3 * spacing)
        spacing_HW, spacing = _spacing(front_HW >= 0)
    dots_HW = np.minimum(spacing_HW, 2 * spacing)  # a point alone is no large thing
    shown_HW = dots(front_HW, height_N, dots_HW, _DOT)
    _close(shown_HW, front_HW, spacing_HW, spacing)
    behind_HW = dots(point_HW, height_N, dots_HW, _DOT)
    return np.where(shown_HW >= 0, shown_HW, behind_HW), spacing


def _spacing(drawn_HW: np.ndarray) -> tuple[np.ndarray, float]:
    """Distance between neighbours around each pixel, and its median over the picture.

    Cells double until they hold a few points.
    """
    height, width = drawn_HW.shape
    counts = np.pad(drawn_HW, [(0, -height % 128), (0, -width % 128)]).astype(np.float32)
    spacing = np.zeros_like(counts)
    for side in (2, 4, 8, 16, 32, 64, 128):
        counts = counts[::2] + counts[1::2]
        counts = counts[:, ::2] + counts[:, 1::2]
        measured = np.where(counts >= 6, side / np.sqrt(np.maximum(counts, 1)), 0)
        measured = measured.repeat(side, 0).repeat(side, 1)
        spacing = np.where(spacing > 0, spacing, measured)
    spacing = spacing[:height, :width]
    known = np.sort(spacing[drawn_HW & (spacing > 0)])
    # Sparse points count for more: most may lie in a few walls seen from their edge.
    weight = np.cumsum(known)
    median = float(known[np.searchsorted(weight, weight[-1] / 2)]) if known.size else 3.0 * FINE
    # Not much less than that, for the ground at the foot of a wall is not as dense as the wall;
    # not much more, so that few points stay dots.
    least, most = 0.8 * median, min(4 * median, max(height, width) / 32)
    spacing = np.where(spacing > 0, np.clip(spacing, least, most), most)
    return spacing.astype(np.float32), median


def _hide(point_HW: np.ndarray, height_N: np.ndarray, side: float) -> None:
    """Take out points that lie behind a surface: most cells around them have a higher point."""
    rows_M, columns_M = np.nonzero(point_HW >= 0)
    height_M = height_N[point_HW[rows_M, columns_M]]
    cells_M = [(places / side).astype(np.int32) for places in (rows_M, columns_M)]
    top = np.full([int(length / side) + 1 for length in point_HW.shape], -np.inf, np.float32)
    order_M = np.argsort(height_M)
    top[cells_M[0][order_M], cells_M[1][order_M]] = height_M[order_M]  # the last one stays
    around = np.pad(top, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(around, (3, 3)).reshape(*top.shape, 9)
    # The third lowest of nine: at an edge six are high, and nothing is hidden.
    limit = np.partition(around, 2, axis=-1)[..., 2]
    hidden_M = height_M < limit[cells_M[0], cells_M[1]] - 2 * side
    point_HW[rows_M[hidden_M], columns_M[hidden_M]] = -1


def dots(
    point_HW: np.ndarray, height_N: np.ndarray, spacing_HW: np.ndarray, radius: float
) -> np.ndarray:
    """Points grown to dots of so many spacings."""
    radius_M = radius * spacing_HW[point_HW >= 0]
    reach = math.floor(radius_M.max(initial=0))
    padded, pixels_M, stride = _padded(point_HW, reach)
    points_M = padded[pixels_M]
    height_M = height_N[points_M]
    best = np.full(padded.shape, -np.inf, dtype=np.float32)
    best[pixels_M] = height_M
    for distance, row, column in _steps(reach):
        near_M = radius_M >= distance
        places = pixels_M[near_M] + row * stride + column
        # A dot is a steep cone: of two at one depth, or on one slope, the nearer center wins.
        offered = height_M[near_M] - 2 * np.float32(distance)
        better = offered > best[places]
        best[places[better]] = offered[better]
        padded[places[better]] = points_M[near_M][better]
    return _cropped(padded, stride, reach, point_HW.shape)


def _close(
    shown_HW: np.ndarray, point_HW: np.ndarray, spacing_HW: np.ndarray, spacing: float
) -> None:
    """Give empty pixels with points all around to the nearest of them: gaps close, outlines stay.

    Wide gaps are closed in coarser pixels, which bounds the work.
    """
    step = max(1, round(spacing / 2))
    rows_M, columns_M = np.nonzero(point_HW >= 0)
    shape = tuple(-(-length // step) for length in point_HW.shape)
    coarse_HW, reach_HW = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    cells = rows_M // step, columns_M // step
    coarse_HW[cells] = point_HW[rows_M, columns_M]
    reach_HW[cells] = _GAP * spacing_HW[rows_M, columns_M] / step
    vacant_HW = np.zeros(shape, dtype=bool)
    rows_E, columns_E = np.nonzero(shown_HW < 0)
    vacant_HW[rows_E // step, columns_E // step] = True
    reach_M = reach_HW[coarse_HW >= 0]
    reach = math.floor(reach_M.max(initial=0))
    padded, pixels_M, stride = _padded(coarse_HW, reach)
    order_M = np.argsort(-reach_M, kind="stable")  # those that reach far come first
    pixels_M, reach_M = pixels_M[order_M], reach_M[order_M]
    points_M = padded[pixels_M]
    vacant = np.pad(vacant_HW, reach).ravel()
    sectors = np.zeros(padded.shape, dtype=np.uint8)
    for distance, row, column in _steps(reach):
        number = np.searchsorted(-reach_M, -distance, side="right")
        places = pixels_M[:number] + (row * stride + column)
        wanted = vacant[places]
        places, points = places[wanted], points_M[:number][wanted]
        sectors[places] |= 1 << int(4 + 4 * math.atan2(row, column) / math.pi - 1e-6)
        first = padded[places] < 0
        padded[places[first]] = points[first]
    around = sum((sectors >> bit) & 1 for bit in range(8))
    own = np.pad(coarse_HW, reach, constant_values=-1).ravel()
    padded[around < _AROUND] = own[around < _AROUND]
    closed_HW = _cropped(padded, stride, reach, shape)
    shown_HW[rows_E, columns_E] = closed_HW[rows_E // step, columns_E // step]


def _padded(point_HW: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Flat points with a border so wide that no step leaves them, where they are, and a row."""
    padded = np.pad(point_HW, reach, constant_values=-1).ravel()
    return padded, np.flatnonzero(padded >= 0), point_HW.shape[1] + 2 * reach


def _cropped(padded: np.ndarray, stride: int, reach: int, shape: tuple[int, ...]) -> np.ndarray:
    return padded.reshape(-1, stride)[reach : reach + shape[0], reach : reach + shape[1]]


def _steps(reach: int) -> Iterator[tuple[float, int, int]]:
    """Distances and offsets of the pixels within reach, nearest first."""
    span = range(-reach, reach + 1)
    steps = sorted((math.hypot(row, column), row, column) for row in span for column in span)
    return ((d, row, column) for d, row, column in steps[1:] if d <= reach)
