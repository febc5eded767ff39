"""How the methods of a study are marked: colour and marker, the baseline grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from equiseg.report.colors import variant_color
from equiseg.report.style import PAPER, short, variant_marker

try:
    from matplotlib.lines import Line2D
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error


def method_color(method: int) -> str:
    """The colour of a method; only the baseline, 0, is grey, however many there are."""
    return variant_color(1 + (method - 1) % 6 if method else 0)


def method_mark(method: int) -> dict[str, Any]:
    """Marker, size and colour of a method; markers repeat after seven, hollow."""
    color, marker = method_color(method), variant_marker(method)
    size = 4.8 if marker == "D" else 5.8
    if method // 7 % 2:
        return {"marker": marker, "ms": size - 0.8, "color": color, "mfc": PAPER, "mew": 1.6}
    return {"marker": marker, "ms": size, "color": color, "mec": PAPER, "mew": 0.7}


def method_handles(methods: Sequence[str]) -> list[Line2D]:
    """Legend marks of the methods."""
    return [Line2D([], [], ls="", label=short(n), **method_mark(m)) for m, n in enumerate(methods)]
