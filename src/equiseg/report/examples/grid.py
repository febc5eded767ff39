"""Pictures with rare classes: what was there, and what each variant saw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.report.colors import class_colors
from equiseg.report.style import INK, MUTED, STYLE, short

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

SIDE = 480  # pixels across a shown picture: sharp on dense screens, and no more
_FADED = 0.42  # what the other classes keep of their colour
_PAPER_GREY = 205
_LEGEND = 30


def choose_examples(labels: Sequence[Tensor], rare: Sequence[int], most: int = 4) -> list[int]:
    """Images that show many rare classes, chosen by their labels alone.

    Each choice takes the image with most pixels of rare classes, each class counted by its share
    of what is left of it, so that all of them come up.

    Args:
        labels: Class ids (H, W) of each image.
        rare: The classes to show.
        most: Images to choose at most.
    """
    if not rare or not labels:
        return []
    pixels_NR = torch.stack([torch.stack([(m == k).sum() for k in rare]) for m in labels]).float()
    # The square root: many small things say more than one large.
    worth_NR = pixels_NR.sqrt() / pixels_NR.sqrt().amax(0).clamp(min=1)
    need_R = torch.ones(len(rare))
    chosen: list[int] = []
    while len(chosen) < most:
        gain_N = (worth_NR * need_R).sum(1)
        gain_N[chosen] = 0
        best = int(gain_N.argmax())
        if gain_N[best] <= 0:
            break
        chosen.append(best)
        need_R = need_R * (1 - 0.9 * worth_NR[best])
    return sorted(chosen)


def example_figure(
    images: Sequence[Tensor],
    labels: Sequence[Tensor],
    predictions: Mapping[str, Sequence[Tensor]],
    classes: Sequence[str],
    highlight: Sequence[int],
    order: Sequence[int],
) -> Figure:
    """Each image a row: the photograph, its labels, and the prediction of each variant.

    Highlighted classes have their full colour and the others a pale one; where a highlighted
    class is labelled, an outline marks the place in every picture of the row.

    Args:
        images: uint8 RGB (3, H, W).
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
    rare = torch.zeros(len(classes) + 1, dtype=torch.bool)
    rare[list(highlight)] = True
    rows = []
    for row, (image, mask) in enumerate(zip(images, labels, strict=True)):
        size = [round(side * SIDE / mask.shape[1]) for side in mask.shape]
        masks = [mask, *(some[row] for some in predictions.values())]
        pictures = [_resized(image, size, "bilinear")]
        pictures += [_resized(_painted(m, image, rare), size, "nearest") for m in masks]
        marked = rare[_known(mask, len(classes))]
        edges = _outline(_resized(marked[None], size, "nearest"))
        rows.append([_outlined(picture, *edges) for picture in pictures])
    shown = classes_seen(
        [*labels, *(mask for some in predictions.values() for mask in some)], order
    )
    return picture_grid(rows, titles, classes, shown, highlight)


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
        rows: uint8 (H, W, 3) pictures, those of a row of one size.
        titles: Of the columns.
        classes: Names of the classes.
        shown: The classes of the legend, in its order.
        highlight: Those of them in their full colour; the others are pale.
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
    colors_K3 = class_colors(len(classes))
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
    return figure


def classes_seen(masks: Sequence[Tensor], order: Sequence[int]) -> list[int]:
    """Classes with more than a thousandth of some mask, in the order given."""
    least = [0.001 * mask.numel() for mask in masks]
    return [
        k
        for k in order
        if any(int((m == k).sum()) > few for m, few in zip(masks, least, strict=True))
    ]


def _known(mask: Tensor, num_classes: int) -> Tensor:
    """Class ids as int64; ``num_classes`` for what has none."""
    ids = mask.long()
    return torch.where((ids >= 0) & (ids < num_classes), ids, num_classes)


def _painted(mask: Tensor, image: Tensor, rare: Tensor) -> Tensor:
    """uint8 (3, H, W): rare classes in colour, others faded into a pale grey of the photograph."""
    num_classes = len(rare) - 1
    ids = _known(mask, num_classes)
    grey = image.float().mean(0, keepdim=True) * 0.35 + 160
    unlabelled = torch.tensor([[255.0, 255.0, 255.0]])
    colors = torch.cat([class_colors(num_classes).float(), unlabelled])[ids].permute(2, 0, 1)
    return torch.where(rare[ids], colors, _FADED * colors + (1 - _FADED) * grey).to(torch.uint8)


def pale(colors: Tensor) -> Tensor:
    """Colours in 0..255 of what is not highlighted."""
    return _FADED * colors + (1 - _FADED) * _PAPER_GREY


def _resized(picture: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """A (C, H, W) picture at another size, float32; sharp edges stay sharp with "nearest"."""
    smooth = mode == "bilinear"
    return F.interpolate(picture[None].float(), tuple(size), mode=mode, antialias=smooth)[0]


def _outline(mask: Tensor) -> tuple[Tensor, Tensor]:
    """A dark and, outside it, a light line around a mask (1, H, W); bool (H, W) each."""
    near, far = (F.max_pool2d(mask, 2 * reach + 1, 1, reach) for reach in (2, 4))
    return (near > mask)[0], (far > near)[0]


def _outlined(picture: Tensor, dark: Tensor, light: Tensor) -> np.ndarray:
    """uint8 (H, W, 3) with the lines drawn in."""
    drawn = torch.where(light, 255.0, torch.where(dark, 20.0, picture))
    return drawn.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
