"""Names beside marks, where they hide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from equiseg.report.style import INK, PAPER

try:
    from matplotlib.axes import Axes
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox, BboxBase
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

# Where a name may stand beside its mark, the best place first: offset in points, alignment.
_PLACES = (
    ((6, 0), "left", "center"),
    ((-6, 0), "right", "center"),
    ((0, 6), "center", "bottom"),
    ((0, -6), "center", "top"),
    ((4, 4), "left", "bottom"),
    ((-4, 4), "right", "bottom"),
    ((4, -4), "left", "top"),
    ((-4, -4), "right", "top"),
)


def name_marks(
    axes: Axes, marks: Sequence[tuple[str, float, float]], lines: np.ndarray | None = None
) -> None:
    """Write names beside their marks as far as there is room: on no mark and on no other name.

    Call it when the places of the marks are known (``figure.draw_without_rendering()``), on a
    figure with an Agg canvas.

    Args:
        axes: Where the marks are.
        marks: Name, x and y of each, those that matter most first.
        lines: (N, 2) points x, y along lines; a name stands upon them only where it must.
    """
    renderer: Any = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    point = axes.figure.dpi / 72
    taken = [_around(axes.transData.transform((x, y)), 3.5 * point) for _, x, y in marks]
    on_lines = () if lines is None else axes.transData.transform(lines)
    crossed = [_around(place, point) for place in on_lines]
    for name, x, y in marks:
        texts = [
            axes.annotate(
                name,
                (x, y),
                xytext=offset,
                textcoords="offset points",
                ha=ha,
                va=va,
                size=8,
                color=INK,
                path_effects=[withStroke(linewidth=2, foreground=PAPER)],  # over what lies below
                in_layout=False,
            )
            for offset, ha, va in _PLACES
        ]
        boxes = [text.get_window_extent(renderer) for text in texts]
        free = [
            place
            for place, box in enumerate(boxes)
            if _holds(axes.bbox, box) and not any(map(box.overlaps, taken))
        ]
        best = min(free, key=lambda p: sum(map(boxes[p].overlaps, crossed)), default=None)
        for place, text in enumerate(texts):
            if place != best:
                text.remove()
        if best is not None:  # the page sets a wider typeface than the one measured here
            taken.append(boxes[best].padded(1.5 * point))


def _around(place: np.ndarray, reach: float) -> Bbox:
    return Bbox.from_extents(*(place - reach), *(place + reach))


def _holds(frame: BboxBase, box: BboxBase) -> bool:
    return bool(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    )
