"""Masks as files, predictions over their images, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

try:
    from PIL import Image
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('overlays need Pillow: pip install "equiseg[data]"') from error


def overlay(image: Tensor, labels: Tensor, colors_K3: Tensor, opacity: float) -> Tensor:
    """The image under the colours of its classes.

    Args:
        image: uint8 (3, H, W).
        labels: Class ids (H, W); ids without a colour leave the image as it is.
        colors_K3: (K, 3) uint8.
        opacity: Of the colours, 0 to 1.

    Returns:
        uint8 (3, H, W).
    """
    labels = labels.long()
    known = labels < len(colors_K3)
    colors = colors_K3[labels.clamp(max=len(colors_K3) - 1)].permute(2, 0, 1).float()
    mixed = opacity * colors + (1 - opacity) * image.float()
    return torch.where(known, mixed, image.float()).round().to(torch.uint8)


def save_mask(labels: Tensor, colors_K3: Tensor, path: Path) -> None:
    """Class ids as PNG: 8-bit with a palette up to 256 classes, else 16-bit."""
    if len(colors_K3) <= 256:
        picture = Image.fromarray(labels.numpy().astype(np.uint8))
        picture.putpalette(colors_K3.numpy().tobytes())
    else:
        picture = Image.fromarray(labels.numpy().astype(np.uint16))
    picture.save(path)


def save_rgb(image: Tensor, path: Path) -> None:
    """A uint8 (3, H, W) picture as a file."""
    Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy())).save(path)


def legend(classes: Sequence[str], colors_K3: Tensor, path: Path) -> None:
    """A picture that names the colours."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ImportError('the legend needs matplotlib: pip install "equiseg[report]"') from error
    patches = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in zip(classes, colors_K3.tolist(), strict=True)
    ]
    figure = Figure()
    FigureCanvasAgg(figure)
    figure.legend(handles=patches, loc="center", ncols=max(1, len(classes) // 16), frameon=False)
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.2)
