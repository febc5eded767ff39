"""Pictures of point clouds, drawn with numpy alone."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from equiseg.report.colors import INKS
from equiseg.report.points.light import developed
from equiseg.report.points.surfaces import FINE, dots, nearest, surfaces

View = Literal["above", "oblique"]

_AZIMUTH, _ELEVATION = math.radians(-28), math.radians(42)  # from where "oblique" looks
_CEILING = 0.92  # of the height: one of 2.6 m may be 20 cm uneven
_CELLS = 40  # at most, along each side of a plan in which ceiling and walls are found
_POINTS_A_CELL = 20  # at least: a tenth of them make a ceiling without holes
_SAMPLE = 100_000  # points that tell extents and ceilings well enough


def render(
    xyz_N3: np.ndarray,
    rgb_N3: np.ndarray,
    *,
    view: View = "oblique",
    size: int | tuple[int, int] = 640,
    point_size: float | None = None,
    cut: float | Literal["auto"] | None = "auto",
    background: str = INKS["paper"],
) -> np.ndarray:
    """Draw points as the nearest of them hide those behind, in parallel projection.

    Every point is a round dot as wide as the points around it are apart, and among dots that
    overlap at about the same depth each pixel takes the nearest center: surfaces close, edges of
    classes stay sharp. Slopes and hollows are shaded (after eye-dome lighting, Boucheny 2009) such
    that level ground keeps its exact colour and a legend holds. Points far outside the rest do not
    shrink the picture.

    Args:
        xyz_N3: (N, 3) coordinates, z upward, all in one unit.
        rgb_N3: (N, 3) colours, uint8 or floats in [0, 1].
        view: "above" has y upward; "oblique" looks down at 42 degrees.
        size: (H, W) pixels, or W alone and the height follows from what is seen.
        point_size: Diameter of the dots in pixels; None chooses it from the density around each,
            leaves out what lies behind a surface and closes gaps in it.
        cut: Hide what lies above this share of the height, 0 to 1 (the height of the middle 99.8 %
            of the points, so that a stray one does not count). "auto" takes a thin top layer that
            covers half the plan, far above other points, for a ceiling: it is hidden, and so are
            in the oblique view the walls nearest to the viewer. None hides nothing.
        background: Colour around the points, as "#rrggbb".

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: If there are no points, some are not finite, or an argument is out of range.
    """
    xyz_N3, rgb_N3 = _checked(xyz_N3, rgb_N3, view, point_size, cut)
    axes_33 = _axes(view)
    kept_N = None if cut is None else _below(xyz_N3, cut, axes_33)
    if kept_N is not None:
        xyz_N3, rgb_N3 = xyz_N3[kept_N], rgb_N3[kept_N]
    # Far from the origin float32 is too coarse: the first point goes there.
    seen_N3 = (xyz_N3 - xyz_N3[0]).astype(np.float32) @ axes_33.T
    shape, pixel, (left, top) = _frame(seen_N3[:, :2], size)
    rows_N = np.floor((top - seen_N3[:, 1]) / pixel).astype(np.int32)
    columns_N = np.floor((seen_N3[:, 0] - left) / pixel).astype(np.int32)
    inside_N = (rows_N >= 0) & (rows_N < shape[0]) & (columns_N >= 0) & (columns_N < shape[1])
    height_N = seen_N3[:, 2] / np.float32(pixel)  # toward the viewer, in fine pixels as the rest
    point_HW = nearest(rows_N, columns_N, height_N, np.flatnonzero(inside_N), shape)
    if point_size is None:
        point_HW, spacing = surfaces(point_HW, height_N)
    else:
        spacing = point_size * FINE
        point_HW = dots(point_HW, height_N, np.full(shape, spacing, dtype=np.float32), 0.5)
    return developed(point_HW, height_N, rgb_N3, axes_33[:, 2], spacing / FINE, background)


def _checked(
    xyz_N3: np.ndarray,
    rgb_N3: np.ndarray,
    view: str,
    point_size: float | None,
    cut: float | str | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The arrays, colours as float32 in [0, 1]."""
    xyz_N3, rgb_N3 = np.asarray(xyz_N3), np.asarray(rgb_N3)
    if xyz_N3.ndim != 2 or xyz_N3.shape[1] != 3 or not len(xyz_N3):
        raise ValueError(f"xyz_N3 must be (N, 3) with at least one point, got {xyz_N3.shape}")
    if rgb_N3.shape != xyz_N3.shape:
        raise ValueError(f"rgb_N3 must be {xyz_N3.shape} as xyz_N3 is, got {rgb_N3.shape}")
    finite = np.isfinite(xyz_N3)
    if not finite.all():
        broken = int((~finite).any(1).sum())
        raise ValueError(f"xyz_N3 has {broken} points that are not finite; leave them out")
    if rgb_N3.dtype == np.uint8:
        rgb_N3 = rgb_N3 / np.float32(255)
    elif not 0 <= rgb_N3.min() <= rgb_N3.max() <= 1:
        raise ValueError(
            f"rgb_N3 must be uint8 or lie in [0, 1], got {rgb_N3.min()} to {rgb_N3.max()}"
        )
    if view not in ("above", "oblique"):
        raise ValueError(f'view must be "above" or "oblique", got {view!r}')
    if point_size is not None and not point_size > 0:
        raise ValueError(f"point_size must be positive or None, got {point_size}")
    if cut not in ("auto", None) and not (isinstance(cut, int | float) and 0 < cut <= 1):
        raise ValueError(f'cut must be above 0 and at most 1, "auto" or None, got {cut!r}')
    return xyz_N3, rgb_N3.astype(np.float32, copy=False)


def _axes(view: View) -> np.ndarray:
    """Rightward, upward and toward the viewer: the rows of a rotation, float32."""
    if view == "above":
        return np.eye(3, dtype=np.float32)
    sin_a, cos_a = math.sin(_AZIMUTH), math.cos(_AZIMUTH)
    sin_e, cos_e = math.sin(_ELEVATION), math.cos(_ELEVATION)
    return np.array(
        [
            [cos_a, sin_a, 0],
            [-sin_e * sin_a, sin_e * cos_a, cos_e],
            [cos_e * sin_a, -cos_e * cos_a, sin_e],
        ],
        dtype=np.float32,
    )


def _some(values_N: np.ndarray) -> np.ndarray:
    """Every so many of the values: enough to know how they spread."""
    return values_N[:: max(1, len(values_N) // _SAMPLE)]


def _below(
    xyz_N3: np.ndarray, cut: float | Literal["auto"], axes_33: np.ndarray
) -> np.ndarray | None:
    """Which points to draw, (N,) bool; None is all of them."""
    low, high = np.percentile(_some(xyz_N3[:, 2]), (0.1, 99.9))
    share_N: np.ndarray = (xyz_N3[:, 2] - low) / max(high - low, 1e-9)
    if cut != "auto":
        kept_N: np.ndarray = share_N <= max(cut, share_N.min())  # never nothing
        return kept_N
    side = int(np.clip(math.sqrt(len(xyz_N3) / _POINTS_A_CELL), 8, _CELLS))
    across_N, away_N = (_cells(xyz_N3[:, :2] @ axis_3[:2], side) for axis_3 in axes_33[:2])
    cell_M, share_M = _some(side * across_N + away_N), _some(share_N)

    def cells(chosen_M: np.ndarray) -> np.ndarray:
        counts = np.bincount(cell_M[chosen_M], minlength=side**2)
        return counts.reshape(side, side) > 0

    covered = cells(share_M > _CEILING) & cells(share_M < 0.5)
    if covered.sum() < 0.5 * len(np.unique(cell_M)):
        return None
    kept_N = share_N <= _CEILING
    if axes_33[2, 2] < 1:
        # A wall hides the room behind it. In a column of cells it is the first tall ones.
        tall = np.pad(cells((share_M > 0.6) & (share_M <= _CEILING)), 1)
        tall = tall[1:-1, :-2] | tall[1:-1, 1:-1] | tall[1:-1, 2:]
        begun = np.logical_or.accumulate(tall, axis=1)
        behind = np.logical_or.accumulate(begun & ~tall, axis=1) | ~tall.any(1, keepdims=True)
        kept_N &= behind[across_N, np.minimum(away_N + 1, side - 1)] | (share_N < 0.1)
    return kept_N


def _cells(places_N: np.ndarray, number: int) -> np.ndarray:
    """In which of so many equal parts of their extent the places lie."""
    low, extent = places_N.min(), max(np.ptp(places_N), 1e-9)
    cells_N: np.ndarray = np.minimum(number * (places_N - low) / extent, number - 1).astype(int)
    return cells_N


def _frame(
    seen_N2: np.ndarray, size: int | tuple[int, int]
) -> tuple[tuple[int, int], float, tuple[float, float]]:
    """Shape in fine pixels, units a fine pixel, left and top."""
    low_2, high_2 = np.percentile(_some(seen_N2), (0.5, 99.5), axis=0)
    slack = 0.06 * (high_2 - low_2).max()
    low_2 = np.maximum(low_2 - slack, [seen_N2[:, axis].min() for axis in (0, 1)])
    high_2 = np.minimum(high_2 + slack, [seen_N2[:, axis].max() for axis in (0, 1)])
    extent_2 = np.maximum(high_2 - low_2, max(0.1 * (high_2 - low_2).max(), 1e-6)) * 1.03
    if isinstance(size, int):
        size = (math.ceil(size * extent_2[1] / extent_2[0]), size)
    if min(size) < 1:
        raise ValueError(f"size must be positive, got {size}")
    shape = (size[0] * FINE, size[1] * FINE)
    pixel = float(max(extent_2[0] / shape[1], extent_2[1] / shape[0]))
    middle_x, middle_y = (low_2 + high_2) / 2
    return shape, pixel, (middle_x - pixel * shape[1] / 2, middle_y + pixel * shape[0] / 2)
