"""Names next to marks, where they hide nothing; a line leads to a name that is farther away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from equiseg.report.style import INK, PAPER

try:
    from matplotlib.axes import Axes
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox, BboxBase
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

_NEAR = 7.0  # points from a mark to its name
_RINGS = (_NEAR, 14.0, 24.0, 36.0, 50.0)  # all distances that are tried, the nearest first
_ANGLES = (0, 180, 90, 270, 45, 135, 315, 225, 20, 160, 340, 200, 70, 290)  # the best first
_LED = 10.0  # from this distance on a line leads from the mark to its name
_APART, _CLOSE = 12.0, 25.0  # a name at another mark, and how many points of distance it is worth
_CROSSED = 0.4  # a name on a line is as bad as so many points of distance, for each point of it


def name_marks(
    axes: Axes, marks: Sequence[tuple[str, float, float]], lines: np.ndarray | None = None
) -> None:
    """Write names next to their marks as far as there is room: on no mark and on no other name.

    A name that finds no room at its mark goes farther out, with a thin line to its mark. Call it
    when the places of the marks are known (``figure.draw_without_rendering()``), on a figure with
    an Agg canvas.

    Args:
        axes: Where the marks are.
        marks: Name, x and y of each, in the order in which they are placed.
        lines: (N, 2) points x, y along lines; a name lies on them only where it must.
    """
    renderer: Any = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    point = axes.figure.dpi / 72
    centers = [axes.transData.transform((x, y)) for _, x, y in marks]
    taken = [_around(center, 3.5 * point) for center in centers]
    on_lines = np.zeros((0, 2)) if lines is None else axes.transData.transform(lines)
    for (name, x, y), center in zip(marks, centers, strict=True):
        text = axes.annotate(
            name,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            size=8,
            color=INK,
            path_effects=[withStroke(linewidth=2, foreground=PAPER)],  # over what lies below
            in_layout=False,
        )
        others = [c for c in centers if c is not center]
        box = _place(text, renderer, axes.bbox, point, taken, on_lines, others, center)
        if box is None:
            text.remove()
        else:  # the page sets a wider typeface than the one measured here
            taken.append(box.padded(1.5 * point))


def _place(
    text: Annotation,
    renderer: Any,
    frame: BboxBase,
    point: float,
    taken: Sequence[BboxBase],
    lines_N2: np.ndarray,
    others: Sequence[np.ndarray],
    center: np.ndarray,
) -> BboxBase | None:
    """Move a name to its best free place; None where there is none."""
    best: tuple[float, float, int] | None = None
    for distance in _RINGS:
        for rank, angle in enumerate(_ANGLES):
            if distance >= _LED and angle % 90 == 0:
                continue  # a line along an interval would not be seen
            _move(text, distance, angle)
            box = text.get_window_extent(renderer)
            if not _holds(frame, box) or any(map(box.overlaps, taken)):
                continue
            if distance >= _LED and _hides_a_mark(box, center, others, point):
                continue
            cost = distance + 0.3 * rank + _CROSSED * _inside(box, lines_N2)
            # A name close to another mark would be read as its name; so would a name with a line
            # that touches another mark.
            gap = min((_gap(box, other) for other in others), default=math.inf)
            if distance < _LED and _gap(box, center) > gap + 0.5:
                continue
            cost += _CLOSE * max(0.0, 1 - gap / (_APART * point))
            if best is None or cost < best[0]:
                best = cost, distance, rank
        if best is not None and best[0] < distance:
            break  # what lies farther out cannot be better
    if best is None:
        return None
    _, distance, rank = best
    _move(text, distance, _ANGLES[rank])
    box = Bbox(text.get_window_extent(renderer).get_points())  # without the line
    if distance >= _LED:
        axes: Any = text.axes
        axes.annotate(
            "",
            text.xy,
            xytext=text.get_position(),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
            zorder=2.5,
            in_layout=False,
        )
    return box


def _move(text: Annotation, distance: float, angle: float) -> None:
    """Put a name at a distance in points, so that it grows away from its mark."""
    x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    text.set_position((distance * x, distance * y))
    text.set_horizontalalignment("left" if x > 0.3 else "right" if x < -0.3 else "center")
    text.set_verticalalignment("bottom" if y > 0.3 else "top" if y < -0.3 else "center")


def _hides_a_mark(
    box: BboxBase, center: np.ndarray, others: Sequence[np.ndarray], point: float
) -> bool:
    """Whether the line from a mark to its name runs over another mark."""
    end = np.clip(center, [box.x0, box.y0], [box.x1, box.y1])
    steps = np.linspace(center, end, 24)
    return any(np.hypot(*(steps - other).T).min() < 4 * point for other in others)


def _inside(box: BboxBase, points_N2: np.ndarray) -> int:
    """How many points lie in a box."""
    low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
    return int(((points_N2 > low) & (points_N2 < high)).all(1).sum())


def _gap(box: BboxBase, place: np.ndarray) -> float:
    """Distance from a place to a box."""
    near = np.clip(place, [box.x0, box.y0], [box.x1, box.y1])
    return float(np.hypot(*(place - near)))


def _around(place: np.ndarray, reach: float) -> Bbox:
    return Bbox.from_extents(*(place - reach), *(place + reach))


def _holds(frame: BboxBase, box: BboxBase) -> bool:
    return bool(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    )
