"""Pictures of point clouds, drawn with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from equiseg.report.colors import INKS

View = Literal["above", "oblique"]

_FINE = 2  # pixels drawn for each pixel shown, each way: smooth edges
_AZIMUTH, _ELEVATION = math.radians(-28), math.radians(42)  # from where "oblique" looks
_LIGHT = np.array([-0.55, 0.55, 0.63], dtype=np.float32)  # from the upper left
_RELIEF, _HOLLOWS = 0.5, 0.9  # how far slopes and hollows change a colour
_REACH = 12  # fine pixels: no dot is drawn larger, however sparse the scan


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

    Every point is a round dot, and among dots that overlap at about the same depth each pixel
    takes the nearest center, so that surfaces close and edges of classes stay sharp. Slopes and
    hollows are shaded (after eye-dome lighting, Boucheny 2009) such that level ground keeps its
    exact colour and a legend holds. Points far outside the rest do not shrink the picture.

    Args:
        xyz_N3: (N, 3) coordinates, z upward.
        rgb_N3: (N, 3) colours, uint8 or floats in [0, 1].
        view: "above" has y upward; "oblique" looks down at 42 degrees.
        size: (H, W) pixels, or W alone and the height follows from what is seen.
        point_size: Diameter of the dots in pixels; None chooses it from the density around each.
        cut: Hide what lies above this share of the height, 0 to 1 (of the middle 99.8 % of the
            points, so that a stray one does not count). "auto" cuts below a ceiling: a thin top
            layer that covers half the plan and has points far below it; None hides nothing.
        background: Colour around the points, as hex.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: If there are no points, some are not finite, or an argument is out of range.
    """
    xyz_N3, rgb_N3 = _checked(xyz_N3, rgb_N3, view, point_size)
    kept_N = _kept(xyz_N3, cut)
    if kept_N is not None:
        xyz_N3, rgb_N3 = xyz_N3[kept_N], rgb_N3[kept_N]
    axes_33 = _axes(view)
    # Far from the origin float32 is too coarse: the middle goes first.
    seen_N3 = (xyz_N3 - xyz_N3.mean(0)).astype(np.float32) @ axes_33.T
    shape, pixel, corner_2 = _frame(seen_N3[:, :2], size)
    rows_N = np.floor((corner_2[1] - seen_N3[:, 1]) / pixel).astype(np.int32)
    columns_N = np.floor((seen_N3[:, 0] - corner_2[0]) / pixel).astype(np.int32)
    inside_N = (rows_N >= 0) & (rows_N < shape[0]) & (columns_N >= 0) & (columns_N < shape[1])
    height_N = seen_N3[:, 2] / pixel  # toward the viewer, in pixels like the rest
    point_HW = _nearest(rows_N, columns_N, height_N, np.flatnonzero(inside_N), shape)
    radius_HW = (
        _spacing(point_HW >= 0)
        if point_size is None
        else np.full(shape, point_size * _FINE / 2, dtype=np.float32)
    )
    point_HW = _dots(point_HW, height_N, radius_HW)
    drawn_HW = point_HW >= 0
    height_HW = np.where(drawn_HW, height_N[point_HW], np.nan)
    picture_HW3 = _lit(rgb_N3[point_HW], height_HW, axes_33[:, 2])
    paper = [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    picture_HW3[~drawn_HW] = paper
    height, width = shape[0] // _FINE, shape[1] // _FINE
    shown_HW3 = picture_HW3.reshape(height, _FINE, width, _FINE, 3).mean((1, 3))
    return (255 * shown_HW3).round().astype(np.uint8)


def _checked(
    xyz_N3: np.ndarray, rgb_N3: np.ndarray, view: str, point_size: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The arrays, colours as float32 in [0, 1]."""
    xyz_N3, rgb_N3 = np.asarray(xyz_N3), np.asarray(rgb_N3)
    if xyz_N3.ndim != 2 or xyz_N3.shape[1] != 3 or not len(xyz_N3):
        raise ValueError(f"xyz_N3 must be (N, 3) with at least one point, got {xyz_N3.shape}")
    if rgb_N3.shape != xyz_N3.shape:
        raise ValueError(f"rgb_N3 must be {xyz_N3.shape} as xyz_N3 is, got {rgb_N3.shape}")
    broken = int((~np.isfinite(xyz_N3)).any(1).sum())
    if broken:
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


def _kept(xyz_N3: np.ndarray, cut: float | Literal["auto"] | None) -> np.ndarray | None:
    """Which points lie below the cut, (N,) bool; None is all of them."""
    if cut is None:
        return None
    low, high = np.percentile(xyz_N3[:, 2], (0.1, 99.9))
    share_N = (xyz_N3[:, 2] - low) / max(high - low, 1e-9)
    if cut == "auto":
        cut = 0.9
        cells_N2 = xyz_N3[:, :2] - xyz_N3[:, :2].min(0)
        cells_N2 = (32 * cells_N2 / np.maximum(np.ptp(xyz_N3[:, :2], 0), 1e-9)).astype(np.int32)
        cell_N = cells_N2 @ np.array([33, 1], dtype=np.int32)
        roofed, floored, all_ = (
            np.bincount(cell_N[some], minlength=33 * 33) > 0
            for some in (share_N > cut, share_N < 0.5, slice(None))
        )
        if (roofed & floored).sum() < 0.5 * all_.sum():
            return None
    elif not 0 < cut <= 1:
        raise ValueError(f'cut must be above 0 and at most 1, "auto" or None, got {cut}')
    return share_N <= cut


def _frame(
    seen_N2: np.ndarray, size: int | tuple[int, int]
) -> tuple[tuple[int, int], float, np.ndarray]:
    """Shape in fine pixels, units a fine pixel, and the upper left corner."""
    low_2, high_2 = np.percentile(seen_N2, (0.5, 99.5), axis=0)
    slack = 0.06 * (high_2 - low_2).max()
    low_2 = np.maximum(low_2 - slack, seen_N2.min(0))
    high_2 = np.minimum(high_2 + slack, seen_N2.max(0))
    extent_2 = np.maximum(high_2 - low_2, max(0.1 * (high_2 - low_2).max(), 1e-6)) * 1.02
    if isinstance(size, int):
        size = (max(1, math.ceil(size * extent_2[1] / extent_2[0])), size)
    if min(size) < 1:
        raise ValueError(f"size must be positive, got {size}")
    shape = (size[0] * _FINE, size[1] * _FINE)
    pixel = float(max(extent_2[0] / shape[1], extent_2[1] / shape[0]))
    middle_2 = (low_2 + high_2) / 2
    return shape, pixel, middle_2 + pixel * np.array([-shape[1], shape[0]]) / 2


def _nearest(
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


def _spacing(drawn_HW: np.ndarray) -> np.ndarray:
    """Distance between neighbours around each pixel: cells double until they hold a few points."""
    height, width = drawn_HW.shape
    levels = range(1, 8)
    padded = np.zeros([-(-side // 128) * 128 for side in (height, width)], dtype=np.float32)
    padded[:height, :width] = drawn_HW
    spacing = np.zeros_like(padded)
    counts = padded
    for level in levels:
        counts = counts.reshape(counts.shape[0] // 2, 2, counts.shape[1] // 2, 2).sum((1, 3))
        side = 2**level
        measured = np.where(counts >= 6, side / np.sqrt(np.maximum(counts, 1)), 0)
        measured = measured.repeat(side, 0).repeat(side, 1)
        spacing = np.where(spacing > 0, spacing, measured)
    spacing = spacing[:height, :width].astype(np.float32)
    known = spacing[drawn_HW & (spacing > 0)]
    middle = float(np.median(known)) if known.size else 3.0 * _FINE
    spacing[spacing == 0] = 2 * middle
    return np.clip(spacing, 0.5, min(2 * middle, _REACH))


def _dots(point_HW: np.ndarray, height_N: np.ndarray, radius_HW: np.ndarray) -> np.ndarray:
    """Points grown to dots; the nearest center wins among those of about one depth."""
    reach = math.floor(radius_HW[point_HW >= 0].max(initial=0))
    padded = np.pad(point_HW, reach, constant_values=-1).ravel()
    stride = point_HW.shape[1] + 2 * reach
    pixels_M = np.flatnonzero(padded >= 0)
    points_M = padded[pixels_M]
    height_M = height_N[points_M]
    radius_M = radius_HW[point_HW >= 0]
    best = np.full(padded.shape, -np.inf, dtype=np.float32)
    best[pixels_M] = height_M
    for distance, row, column in _steps(reach):
        wide_M = radius_M >= distance
        places = pixels_M[wide_M] + row * stride + column
        # A dot is a cone: it falls off as far as it goes out.
        offered = height_M[wide_M] - distance
        better = offered > best[places]
        best[places[better]] = offered[better]
        padded[places[better]] = points_M[wide_M][better]
    height, width = point_HW.shape
    return padded.reshape(-1, stride)[reach : reach + height, reach : reach + width]


def _steps(reach: int) -> Iterator[tuple[float, int, int]]:
    """Distances and offsets of the pixels within reach, nearest first."""
    span = range(-reach, reach + 1)
    steps = sorted((math.hypot(row, column), row, column) for row in span for column in span)
    return ((d, row, column) for d, row, column in steps[1:] if d <= reach)


def _lit(rgb_HW3: np.ndarray, height_HW: np.ndarray, up_3: np.ndarray) -> np.ndarray:
    """Colours under a light from the upper left, hollows darker; a level place as it is."""
    smooth_HW = _smoothed(height_HW, 2)
    slope = [
        np.nan_to_num(-np.gradient(smooth_HW, axis=1)),
        np.nan_to_num(np.gradient(smooth_HW, axis=0)),
    ]
    normal_HW3 = np.stack([*slope, np.ones_like(smooth_HW)], -1)
    normal_HW3 /= np.linalg.norm(normal_HW3, axis=-1, keepdims=True)
    light_HW = 1 + _RELIEF * (normal_HW3 @ _LIGHT - up_3 @ _LIGHT)
    hollow_HW = np.zeros_like(height_HW)
    for ring in (2, 4, 8):
        for row, column in ((0, 1), (1, 0), (1, 1), (1, -1)):
            around = [_shifted(height_HW, s * ring * row, s * ring * column) for s in (1, -1)]
            rise = [np.nan_to_num(a - height_HW) for a in around]
            hollow_HW += np.clip((rise[0] + rise[1]) / (4 * ring), 0, 1)
    light_HW = light_HW * np.exp(-_HOLLOWS * hollow_HW / 6)
    light = np.clip(light_HW, 0.4, 1.3)[..., None].astype(np.float32)
    return np.where(light > 1, rgb_HW3 + (1 - rgb_HW3) * (light - 1), rgb_HW3 * light)


def _shifted(values_HW: np.ndarray, row: int, column: int) -> np.ndarray:
    """The value ``row`` down and ``column`` right of each pixel; NaN beyond the border."""
    reach = max(abs(row), abs(column))
    height, width = values_HW.shape
    padded = np.pad(values_HW, reach, constant_values=np.nan)
    return padded[reach + row : reach + row + height, reach + column : reach + column + width]


def _smoothed(values_HW: np.ndarray, reach: int) -> np.ndarray:
    """Means over (2 reach + 1)² pixels, of those that are not NaN."""
    known = np.isfinite(values_HW).astype(np.float32)
    total, number = np.nan_to_num(values_HW), known
    for axis in (0, 1):
        total, number = (_running_sum(v, reach, axis) for v in (total, number))
    return np.where(known > 0, total / np.maximum(number, 1), np.nan)


def _running_sum(values_HW: np.ndarray, reach: int, axis: int) -> np.ndarray:
    pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
    padded = np.pad(values_HW, pad)
    length = values_HW.shape[axis]
    return sum(np.take(padded, range(s, s + length), axis) for s in range(2 * reach + 1))
