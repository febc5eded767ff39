"""The colours of points as a picture under light."""

from __future__ import annotations

import math

import numpy as np

from equiseg.report.points.surfaces import FINE

_LIGHT = np.array([-0.55, 0.55, 0.63], dtype=np.float32)  # from the upper left
_RELIEF, _HOLLOWS = 0.5, 0.9  # how far slopes and hollows change a colour


def developed(
    point_HW: np.ndarray,
    height_N: np.ndarray,
    rgb_N3: np.ndarray,
    up_3: np.ndarray,
    spacing: float,
    background: str,
) -> np.ndarray:
    """The picture: fine pixels averaged, lit, on their background; uint8 (H, W, 3)."""
    drawn_HW = point_HW >= 0
    number_HW = _blocks(drawn_HW)
    with np.errstate(invalid="ignore"):  # 0 / 0 where nothing is drawn: NaN is meant
        height_HW = _blocks(np.where(drawn_HW, height_N[point_HW], 0)) / number_HW / FINE
    share_HW1 = (number_HW / FINE**2)[..., None]
    rgb_HW3 = _blocks(rgb_N3[point_HW] * drawn_HW[..., None]) / np.maximum(number_HW, 1)[..., None]
    light_HW1 = _light(_smoothed(height_HW, spacing), up_3)[..., None]
    rgb_HW3 = np.where(
        light_HW1 > 1, rgb_HW3 + (1 - rgb_HW3) * (light_HW1 - 1), rgb_HW3 * light_HW1
    )
    paper = np.array([int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=np.float32)
    shown_HW3 = share_HW1 * rgb_HW3 + (1 - share_HW1) * paper
    return np.asarray((255 * shown_HW3).round(), dtype=np.uint8)


def _blocks(values: np.ndarray) -> np.ndarray:
    """Sums over the fine pixels of each pixel, float32."""
    parts = [values[r::FINE, c::FINE] for r in range(FINE) for c in range(FINE)]
    total = parts[0].astype(np.float32)
    for part in parts[1:]:
        total += part
    return total


def _light(height_HW: np.ndarray, up_3: np.ndarray) -> np.ndarray:
    """What light does to a colour, 1 on level ground: slopes by their side, hollows darker."""
    right, down = np.gradient(height_HW, axis=1), np.gradient(height_HW, axis=0)
    normal_HW3 = np.stack([*map(np.nan_to_num, (-right, down)), np.ones_like(height_HW)], -1)
    normal_HW3 /= np.linalg.norm(normal_HW3, axis=-1, keepdims=True)
    hollow_HW = np.zeros_like(height_HW)
    for ring in (1, 3, 6):
        for row, column in ((0, ring), (ring, 0), (ring, ring), (ring, -ring)):
            # Of two opposite neighbours, so that a slope is no hollow; the outside is level.
            rise = sum(
                np.nan_to_num(_shifted(height_HW, sign * row, sign * column) - height_HW)
                for sign in (1, -1)
            )
            hollow_HW += np.clip(rise / (4 * ring), 0, 1)
    light_HW = 1 + _RELIEF * (normal_HW3 @ _LIGHT - up_3 @ _LIGHT)
    return np.clip(light_HW * np.exp(-_HOLLOWS / 6 * hollow_HW), 0.4, 1.3)


def _smoothed(height_HW: np.ndarray, spacing: float) -> np.ndarray:
    """Steps from dot to dot evened out, steps from thing to thing kept.

    Means over neighbours of alike height, ever farther ones (à trous, as pictures are denoised).
    """
    spacing = max(1.0, spacing)
    for step in (2**power for power in range(math.ceil(math.log2(spacing)) + 1)):
        total, number = height_HW.copy(), np.ones_like(height_HW)
        for row, column in ((0, step), (step, 0), (step, step), (step, -step)):
            # Only both of two opposite neighbours, so that a slope stays one at its border.
            one_HW = _shifted(height_HW, row, column)
            other_HW = _shifted(height_HW, -row, -column)
            far_HW = np.maximum(np.abs(one_HW - height_HW), np.abs(other_HW - height_HW))
            alike = far_HW < 2 * spacing
            total += np.where(alike, one_HW + other_HW, 0)
            number += 2 * alike
        height_HW = total / number
    return height_HW


def _shifted(values_HW: np.ndarray, row: int, column: int) -> np.ndarray:
    """The value ``row`` down and ``column`` right of each pixel; NaN beyond the border."""
    reach = max(abs(row), abs(column))
    height, width = values_HW.shape
    padded = np.pad(values_HW, reach, constant_values=np.nan)
    return padded[reach + row : reach + row + height, reach + column : reach + column + width]
