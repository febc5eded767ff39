"""The style of every figure, and its files: PNG, SVG, and its numbers as CSV."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from equiseg.foreign_text import csv_cell
from equiseg.report.colors import INKS
from equiseg.whole_files import replace_file, replace_text

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
        name: Of its files; no other figure of the page has it.
        title: Its heading.
        figure: What is drawn.
        caption: What it shows and how to read it.
        numbers: The rows behind it, for a CSV: column to value.
        alt: A description for people who cannot see it; empty leaves it to title and caption.
        narrow: The same for a screen as narrow as a phone, where the figure would not fit.
    """

    name: str
    title: str
    figure: Figure
    caption: str
    numbers: Sequence[Mapping[str, Any]] = ()
    alt: str = ""
    narrow: Figure | None = None

    @cached_property
    def png(self) -> bytes:
        """The figure as PNG; drawn once, as large ones take seconds."""
        return _saved(self.figure, "png", dpi=160)

    @cached_property
    def svg(self) -> str:
        """The figure as SVG; drawn once."""
        return svg_text(self.figure)


def save_figure(illustration: Illustration, folder: Path) -> None:
    """Write a figure as NAME.png and NAME.svg, on light paper, and its numbers as NAME.csv."""
    name = illustration.name
    replace_file(folder / f"{name}.png", lambda file: file.write(illustration.png), durable=False)
    replace_text(folder / f"{name}.svg", illustration.svg, durable=False)
    if illustration.numbers:
        replace_text(folder / f"{name}.csv", csv_text(illustration.numbers), durable=False)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them; NaN and what a row lacks are empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="")
    writer.writerow({name: csv_cell(name) for name in columns})
    for row in rows:
        cells = {name: "" if _missing(value) else value for name, value in row.items()}
        writer.writerow({name: csv_cell(cell) for name, cell in cells.items()})
    return buffer.getvalue()


def inline_svg(svg: str, prefix: str) -> str:
    """A drawing for the inside of a page, in the page's own inks and typeface.

    Args:
        svg: A whole SVG file.
        prefix: Of its ids: figures on one page must not share them.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows what an svg is
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    for ink, value in INKS.items():
        svg = svg.replace(value, f"var(--{ink})")
    return svg


def variant_marker(index: int) -> str:
    """The mark of the ``index``-th method: colour alone does not reach everyone."""
    return "oDs^vPX"[index % 7]


def short(name: str, most: int = 22) -> str:
    """A name cut to ``most`` letters; both ends stay, for names of methods often differ there."""
    start = most // 2
    return name if len(name) <= most else f"{name[:start]}…{name[start + 1 - most :]}"


def svg_text(figure: Figure) -> str:
    """A figure as SVG; the same figure always gives the same text."""
    return _saved(figure, "svg", metadata={"Date": None}).decode()


@rc_context(STYLE)
def _saved(figure: Figure, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # one for each letter of a name in another script
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
