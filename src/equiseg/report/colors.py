"""Colours of classes and of compared methods, and the inks of figures and page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Figures are drawn in these inks; inside the page each becomes the CSS variable of its name, so
# that a figure turns dark with the page. The style sheet gives their values again.
INKS = {"ink": "#1d2430", "muted": "#6a7382", "line": "#d9dee5", "paper": "#fdfdfb"}
# The baseline is the quiet one. All are legible on light and on dark paper, and differ (0.10 in
# Oklab at least) to eyes that lack one of the three cones.
_VARIANTS = ("#88909c", "#2f74d0", "#d9752b", "#963c00", "#695a78", "#00a5ff", "#5a00ff")

# Björn Ottosson's Oklab (2020): equal distances look equally different.
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)


def variant_color(index: int) -> str:
    """The colour of the ``index``-th method, as hex; the baseline, 0, is grey."""
    return _VARIANTS[index % len(_VARIANTS)]


def class_colors(num_classes: int, chosen: Sequence[str | None] = ()) -> np.ndarray:
    """Colours that look as different as their number allows, always the same.

    Each is the candidate farthest, in Oklab, from those before it: a data set with more classes
    starts with the same colours. Near-black, near-white and grey are left to the unlabelled.

    Args:
        num_classes: Number of classes K.
        chosen: The colours that some classes have already, as "#rrggbb" or None; the others keep
            away from them.

    Returns:
        (K, 3) uint8 RGB.

    Raises:
        ValueError: If ``num_classes`` is not positive, or more than the 4000 or so candidates.
    """
    given_G3 = np.array([_rgb(color) for color in chosen if color], dtype=np.float32).reshape(-1, 3)
    free = [k for k in range(num_classes) if k >= len(chosen) or not chosen[k]]
    if len(given_G3):
        colors_K3 = np.empty((num_classes, 3), dtype=np.uint8)
        taken = np.ones(num_classes, dtype=bool)
        taken[free] = False
        colors_K3[taken] = given_G3
        if free:
            colors_K3[free] = _different(len(free), given_G3)
        return colors_K3
    return _different(num_classes, given_G3)


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def _different(num_classes: int, given_G3: np.ndarray) -> np.ndarray:
    """(K, 3) uint8 colours, each as far as possible from those given and those before it."""
    steps = np.linspace(0, 255, 22, dtype=np.float32)
    grid_N3 = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3).round()
    lab_N3 = _oklab(grid_N3)
    lightness, chroma = lab_N3[:, 0], np.linalg.norm(lab_N3[:, 1:], axis=1)
    usable = (lightness > 0.42) & (lightness < 0.88) & (chroma > 0.06) & (chroma < 0.17)
    grid_N3, lab_N3 = grid_N3[usable], lab_N3[usable]
    if not 1 <= num_classes <= len(grid_N3):
        raise ValueError(f"num_classes must be 1 to {len(grid_N3)}, got {num_classes}")
    # Hue separates classes better than lightness does, over photographs above all.
    flat_3 = np.array([0.7, 1.0, 1.0], dtype=np.float32)
    lab_N3 = lab_N3 * flat_3
    if len(given_G3):
        given_lab_G3 = _oklab(given_G3) * flat_3
        distance_N = np.linalg.norm(lab_N3[:, None] - given_lab_G3, axis=2).min(1)
        chosen: list[int] = []
    else:
        first = _oklab(np.array([[78.0, 121.0, 167.0]], dtype=np.float32)) * flat_3
        chosen = [int(np.linalg.norm(lab_N3 - first, axis=1).argmin())]
        distance_N = np.linalg.norm(lab_N3 - lab_N3[chosen[0]], axis=1)
    while len(chosen) < num_classes:
        chosen.append(int(distance_N.argmax()))
        distance_N = np.minimum(distance_N, np.linalg.norm(lab_N3 - lab_N3[chosen[-1]], axis=1))
    colors_K3: np.ndarray = grid_N3[chosen].astype(np.uint8)
    return colors_K3


def _oklab(rgb_N3: np.ndarray) -> np.ndarray:
    """Oklab of sRGB values 0 to 255."""
    encoded = rgb_N3 / np.float32(255)
    bright = ((encoded + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    linear = np.where(encoded > 0.04045, bright, encoded / np.float32(12.92))
    lab_N3: np.ndarray = (linear @ _RGB_TO_LMS.T) ** np.float32(1 / 3) @ _LMS_TO_LAB.T
    return lab_N3
