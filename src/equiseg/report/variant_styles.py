"""How compared methods are marked in figures, and their legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from equiseg.report.colors import variant_color
from equiseg.report.style import short, variant_marker

try:
    from matplotlib.lines import Line2D
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


def variant_mark(index: int) -> dict[str, Any]:
    """Marker, size and colour of the ``index``-th method; the baseline is 0."""
    marker = variant_marker(index)
    size = 4.6 if marker == "D" else 5.4  # a diamond is as wide as a square's diagonal
    return {"marker": marker, "ms": size, "color": variant_color(index)}


def variant_handles(variants: Sequence[str]) -> list[Line2D]:
    """Legend marks of the methods."""
    return [
        Line2D([], [], ls="", mew=0, label=short(name), **variant_mark(v))
        for v, name in enumerate(variants)
    ]
