"""Masks as files, predictions over their images, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

try:
    from PIL import Image
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('overlays need Pillow: pip install "equiseg[data]"') from error


def overlay(
    image: ArrayLike, labels: ArrayLike, colors_K3: ArrayLike, opacity: float
) -> np.ndarray:
    """The image under the colours of its classes.

    Args:
        image: uint8 (3, H, W).
        labels: Class ids (H, W); ids without a colour leave the image unchanged.
        colors_K3: (K, 3) uint8.
        opacity: Of the colours, 0 to 1.

    Returns:
        uint8 (3, H, W).
    """
    picture, colors_K3 = np.asarray(image).astype(np.float32), np.asarray(colors_K3)
    ids = np.asarray(labels).astype(np.int64)
    known = ids < len(colors_K3)
    colors = np.moveaxis(colors_K3[np.minimum(ids, len(colors_K3) - 1)], -1, 0)
    mixed = np.float32(opacity) * colors + np.float32(1 - opacity) * picture
    mixed = np.where(known, mixed, picture)
    shown: np.ndarray = mixed.round().astype(np.uint8)
    return shown


def save_mask(labels: ArrayLike, colors_K3: ArrayLike, path: Path) -> None:
    """Class ids as PNG: 8-bit with a palette up to 256 classes, else 16-bit."""
    ids, colors_K3 = np.asarray(labels), np.asarray(colors_K3)
    if len(colors_K3) <= 256:
        picture = Image.fromarray(ids.astype(np.uint8))
        picture.putpalette(colors_K3.tobytes())
    else:
        picture = Image.fromarray(ids.astype(np.uint16))
    picture.save(path)


def save_rgb(image: ArrayLike, path: Path) -> None:
    """A uint8 (3, H, W) picture as a file."""
    Image.fromarray(np.ascontiguousarray(np.moveaxis(np.asarray(image), 0, -1))).save(path)


def legend(classes: Sequence[str], colors_K3: ArrayLike, path: Path) -> None:
    """A picture that names the colours."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ImportError('the legend needs matplotlib: pip install "equiseg[report]"') from error
    patches = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in zip(classes, np.asarray(colors_K3).tolist(), strict=True)
    ]
    figure = Figure()
    FigureCanvasAgg(figure)
    figure.legend(handles=patches, loc="center", ncols=max(1, len(classes) // 16), frameon=False)
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.2)
