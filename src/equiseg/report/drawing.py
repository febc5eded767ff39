"""How every figure looks, and the two forms it is kept in."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equiseg.report.colors import INKS

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('figures need matplotlib: pip install "equiseg[report]"') from error

INK, MUTED, LINE, PAPER = INKS["ink"], INKS["muted"], INKS["line"], INKS["paper"]
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.columnspacing": 1.6,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",  # the page sets its own typeface
    "svg.hashsalt": "equiseg",  # the same figure, the same file
    "text.color": INK,
    "text.parse_math": False,  # a class may be named "a$b$"
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True)
class Illustration:
    """A figure of the page.

    Attributes:
        name: Of its file.
        title: Its heading.
        figure: What is drawn.
        caption: What it shows and how to read it.
    """

    name: str
    title: str
    figure: Figure
    caption: str


@rc_context(STYLE)
def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, on light paper."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


@rc_context(STYLE)
def inline_svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand inside a page, in the page's own inks and typeface.

    Args:
        figure: What is drawn.
        name: Put before every id, so that figures on one page do not share them.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows what an svg is
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for ink, value in INKS.items():
        svg = svg.replace(value, f"var(--{ink})")
    return svg


def short(name: str, most: int = 22) -> str:
    """A name cut to ``most`` letters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
