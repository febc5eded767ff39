"""Pictures with rare classes: the image, its labels, and the prediction of each variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from equiseg.records.examples import SIDE
from equiseg.report.colors import class_colors
from equiseg.report.style import INK, MUTED, STYLE, short

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch
    from PIL import Image
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_FADED = 0.42  # what the other classes keep of their colour
_PAPER_GREY = 205
_LEGEND = 30


def example_figure(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    predictions: Mapping[str, Sequence[np.ndarray]],
    classes: Sequence[str],
    highlight: Sequence[int],
    order: Sequence[int],
) -> Figure:
    """Each image a row: the photograph, its labels, and the prediction of each variant.

    Highlighted classes have their full colour and the others a pale one; where a highlighted
    class is labelled, an outline marks the place in every picture of the row.

    Args:
        images: uint8 RGB (H, W, 3).
        labels: Class ids (H, W); ids without a class are not labelled.
        predictions: For each variant, class ids (H, W).
        classes: Names of the classes.
        highlight: Ids to emphasise.
        order: All class ids in the order of the legend.

    Raises:
        ValueError: If there is nothing to show, or the lists differ in length.
    """
    lengths = {len(images), len(labels), *(len(masks) for masks in predictions.values())}
    if len(lengths) > 1 or not images:
        raise ValueError(f"images, labels and predictions must be of one length, got {lengths}")
    titles = ["image", "labels", *predictions]
    rare = np.zeros(len(classes) + 1, dtype=bool)
    rare[list(highlight)] = True
    rows = []
    for row, (image, mask) in enumerate(zip(images, labels, strict=True)):
        height, width = (round(side * SIDE / mask.shape[1]) for side in mask.shape)
        photograph = np.asarray(
            Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        )
        masks = [mask, *(some[row] for some in predictions.values())]
        masks = [_stretched(known_ids(one, len(classes)), height, width) for one in masks]
        edges = _outline(rare[masks[0]])
        pictures = [photograph, *(_painted(one, photograph, rare) for one in masks)]
        rows.append([_outlined(picture, *edges) for picture in pictures])
    seen = [*labels, *(mask for some in predictions.values() for mask in some)]
    return picture_grid(rows, titles, classes, classes_seen(seen, order, highlight), highlight)


@rc_context(STYLE)
def picture_grid(
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    classes: Sequence[str],
    shown: Sequence[int],
    highlight: Sequence[int],
) -> Figure:
    """Rows of pictures under common titles, above a legend of class colours.

    Args:
        rows: uint8 (H, W, 3) pictures, all of a row with one size.
        titles: Of the columns.
        classes: Names of the classes.
        shown: The classes of the legend, in its order.
        highlight: The classes in their full colour; the others are pale.
    """
    width = 9.4 / len(titles)
    heights = [width * row[0].shape[0] / row[0].shape[1] for row in rows]
    room = _LEGEND - sum(k in highlight for k in shown)
    pale_ones = [k for k in shown if k not in highlight][: max(room, 0)]
    shown = [k for k in shown if k in highlight or k in pale_ones]
    columns = min(6, max(1, len(shown)))
    legend_height = 0.2 * math.ceil(len(shown) / columns) + 0.1
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=(9.4, sum(heights) + 0.15 + legend_height), layout=layout)
    grid = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=heights)
    for places, row in zip(grid, rows, strict=True):
        for axes, picture in zip(places, row, strict=True):
            axes.imshow(picture, interpolation="none")
            axes.set_axis_off()
    for axes, title in zip(grid[0], titles, strict=True):
        lines = title.replace("errors of ", "errors of\n").split("\n")
        axes.set_title("\n".join(short(line, max(6, int(10 * width))) for line in lines))
    _add_legend(figure, classes, shown, highlight, columns)
    return figure


def classes_seen(
    masks: Sequence[np.ndarray], order: Sequence[int], highlight: Sequence[int]
) -> list[int]:
    """Classes with more than a thousandth of some mask, highlighted ones with any pixel at all."""
    most_K = np.zeros(max(order, default=0) + 1)
    for mask in masks:
        ids = mask[(mask >= 0) & (mask < len(most_K))]
        counts_K = np.bincount(ids.astype(np.int64).ravel(), minlength=len(most_K))
        most_K = np.maximum(most_K, counts_K / max(1, mask.size))
    return [k for k in order if most_K[k] > (0 if k in highlight else 0.001)]


def known_ids(ids: np.ndarray, num_classes: int) -> np.ndarray:
    """Class ids as int64; ``num_classes`` for what has none."""
    ids = np.asarray(ids).astype(np.int64)
    return np.where((ids >= 0) & (ids < num_classes), ids, num_classes)


def pale(colors: np.ndarray) -> np.ndarray:
    """Colours in 0..255 of classes that are not highlighted."""
    return _FADED * colors + (1 - _FADED) * _PAPER_GREY


def _add_legend(
    figure: Figure,
    classes: Sequence[str],
    shown: Sequence[int],
    highlight: Sequence[int],
    columns: int,
) -> None:
    """Colours of the classes; names of the highlighted ones are bold."""
    colors_K3 = class_colors(len(classes)).astype(float)
    patches = [
        Patch(
            facecolor=((colors_K3[k] if k in highlight else pale(colors_K3[k])) / 255).tolist(),
            edgecolor=INK if k in highlight else "none",
            linewidth=0.8,
            label=short(classes[k]),
        )
        for k in shown
    ]
    legend = figure.legend(
        handles=patches, loc="outside lower left", ncols=columns, handlelength=1.1, fontsize=8.5
    )
    for text, k in zip(legend.get_texts(), shown, strict=True):
        marked = k in highlight
        text.set(color=INK if marked else MUTED, weight="bold" if marked else "normal")


def _painted(ids: np.ndarray, image: np.ndarray, rare: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): rare classes in colour, others faded into a pale grey of the photograph."""
    grey = image.astype(float).mean(2, keepdims=True) * 0.35 + 160
    unlabelled = np.full((1, 3), 255.0)
    colors = np.concatenate([class_colors(len(rare) - 1).astype(float), unlabelled])[ids]
    faded = _FADED * colors + (1 - _FADED) * grey
    painted: np.ndarray = np.where(rare[ids][..., None], colors, faded).astype(np.uint8)
    return painted


def _stretched(ids: np.ndarray, height: int, width: int) -> np.ndarray:
    """Class ids (H, W) at another size; edges stay sharp."""
    rows = np.arange(height) * ids.shape[0] // height
    columns = np.arange(width) * ids.shape[1] // width
    stretched: np.ndarray = ids[rows[:, None], columns]
    return stretched


def _outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A dark and, outside it, a light line around a mask (H, W); bool (H, W) each."""
    near, far = (_grown(mask, reach) for reach in (2, 4))
    return near & ~mask, far & ~near


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """A mask (H, W) with all pixels within ``reach`` of it, in a square."""
    for axis in (0, 1):
        padding = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(mask, padding)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis)
        mask = np.asarray(windows.any(-1))
    return mask


def _outlined(picture: np.ndarray, dark: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with the lines drawn in."""
    drawn: np.ndarray = picture.copy()
    drawn[dark] = 20
    drawn[light] = 255
    return drawn
