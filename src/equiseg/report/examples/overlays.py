"""Masks and maps as files, predictions over their images, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from equiseg.foreign_text import printable
from equiseg.whole_files import replaced

try:
    from PIL import Image
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('overlays need Pillow: pip install "equiseg[data]"') from error

_MOST_BYTE, _MOST_VALUE = 255, 65535
_NUM_VALUES = 256  # of a byte
_BAND = 256  # rows that are painted at a time, so that their 8-byte ids take little memory
# PNG compression: a photo takes a quarter of the time and 1.1 times the size of the usual level; a
# mask, which is small, takes about the same time and 1.4 times the size.
_FAST, _SMALL = 1, 6
_MOST_IN_LEGEND, _LONGEST_NAME = 240, 40
_DIGIT_SPACE, _LEFT_TO_RIGHT = "\u2007", "\u200e"


def overlay(
    image: ArrayLike,
    labels: ArrayLike,
    colors_K3: ArrayLike,
    opacity: float,
    unpainted: int | None = None,
) -> np.ndarray:
    """The image under the colours of its classes.

    Args:
        image: uint8 (3, H, W).
        labels: Class ids (H, W); ids without a colour leave the image unchanged.
        colors_K3: (K, 3) uint8.
        opacity: Of the colours, 0 to 1.
        unpainted: A class that leaves the image unchanged as well: the background.

    Returns:
        uint8 (3, H, W).
    """
    pixels, ids = np.asarray(image), np.asarray(labels)
    table_KCV = _mixed_values(np.asarray(colors_K3), opacity, unpainted)
    last = len(table_KCV) - 1
    shown = np.empty_like(pixels)
    for top in range(0, ids.shape[0], _BAND):
        band = slice(top, top + _BAND)
        row_HW = np.minimum(ids[band].astype(np.intp), last) * _NUM_VALUES
        for channel, values in enumerate(pixels):
            mixed = table_KCV[:, channel].ravel()
            np.take(mixed, row_HW + values[band], out=shown[channel, band], mode="clip")
    return shown


def _mixed_values(colors_K3: np.ndarray, opacity: float, unpainted: int | None) -> np.ndarray:
    """(K + 1, 3, 256) uint8: each pixel value under the colour of each class; the last is none."""
    values = np.arange(_NUM_VALUES, dtype=np.uint8)
    table_KCV = np.empty((len(colors_K3) + 1, 3, _NUM_VALUES), np.uint8)
    mixed = np.float32(opacity) * colors_K3[..., None] + np.float32(1 - opacity) * values
    table_KCV[:-1] = mixed.round()
    table_KCV[-1] = values
    if unpainted is not None:
        table_KCV[unpainted] = values
    return table_KCV


def save_mask(labels: ArrayLike, values_K: ArrayLike, colors_K3: ArrayLike, path: Path) -> None:
    """The values of classes as PNG: 8-bit with a palette up to 255, else 16-bit grey.

    Args:
        labels: Class ids (H, W).
        values_K: (K,) the value of each class, 0 to 65535.
        colors_K3: (K, 3) uint8.
        path: The file; it is replaced whole.

    Raises:
        ValueError: If a mask cannot hold a value.
    """
    ids, values_K = np.asarray(labels), np.asarray(values_K)
    if values_K.min() < 0 or values_K.max() > _MOST_VALUE:
        raise ValueError(
            f"values of masks must be 0 to {_MOST_VALUE}, got {values_K.min()} to "
            f"{values_K.max()}; write class ids instead (--values index)"
        )
    if values_K.max() > _MOST_BYTE:
        picture = Image.fromarray(values_K.astype(np.uint16)[ids])
    else:
        picture = Image.fromarray(values_K.astype(np.uint8)[ids])
        palette = np.zeros((_MOST_BYTE + 1, 3), dtype=np.uint8)
        palette[values_K] = np.asarray(colors_K3)
        picture.putpalette(palette[: values_K.max() + 1].tobytes())
    _save(picture, path)


def save_grey(values: ArrayLike, path: Path) -> None:
    """A uint8 (H, W) map as a grey PNG."""
    _save(Image.fromarray(np.ascontiguousarray(values)), path, _FAST)


def save_rgb(image: ArrayLike, path: Path) -> None:
    """A uint8 (3, H, W) picture as PNG."""
    pixels = np.ascontiguousarray(np.moveaxis(np.asarray(image), 0, -1))
    _save(Image.fromarray(pixels), path, _FAST)


def _save(picture: Image.Image, path: Path, level: int = _SMALL) -> None:
    with replaced(path, durable=False) as unfinished:
        picture.save(unfinished, compress_level=level)


def legend(
    classes: Sequence[str], values_K: Sequence[int], colors_K3: ArrayLike, path: Path
) -> None:
    """A picture of the colours, with the value and the name of each class.

    Of more than 240 classes it shows the first; a table has all of them. So has it the names for
    which this system has no font.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch

        from equiseg.report.fonts import families
        from equiseg.report.style import STYLE
    except ImportError as error:
        raise ImportError('the legend needs matplotlib: pip install "equiseg[report]"') from error
    rows = list(zip(values_K, classes, np.asarray(colors_K3).tolist(), strict=True))
    rest = len(rows) - _MOST_IN_LEGEND
    digits = max(len(str(value)) for value in values_K)
    with rc_context({**STYLE, "font.family": families()}):  # names are not read as formulas
        patches = [
            Patch(
                facecolor=(red / 255, green / 255, blue / 255),
                label=_legend_text(value, digits, name),
            )
            for value, name, (red, green, blue) in rows[:_MOST_IN_LEGEND]
        ]
        if rest > 0:
            patches.append(Patch(facecolor="none", label=f"and {rest:,} more in classes.csv"))
        figure = Figure()
        FigureCanvasAgg(figure)
        columns = -(-len(patches) // max(20, round(3 * len(patches) ** 0.5)))
        figure.legend(handles=patches, loc="center", ncols=columns, frameon=False)
        with replaced(path, durable=False) as unfinished:
            figure.savefig(unfinished, dpi=150, bbox_inches="tight", pad_inches=0.2)


def _legend_text(value: int, digits: int, name: str) -> str:
    """The value, with room for a number of digits, and the name, in this order in any script."""
    from equiseg.report.fonts import is_drawable
    from equiseg.report.style import short

    shown = short(printable(name.strip()), _LONGEST_NAME)
    if not is_drawable(shown):
        shown = "(see classes.csv)"
    return f"{_LEFT_TO_RIGHT}{str(value).rjust(digits, _DIGIT_SPACE)}{_LEFT_TO_RIGHT}  {shown}"
