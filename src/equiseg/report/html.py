"""The blocks of a report page: one HTML file that needs no other file and no network.

Callers give text and numbers; only this file writes tags, so only this file must escape.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Literal, NewType

from equiseg.report.colors import INKS
from equiseg.report.style import Illustration, csv_text, inline_svg, svg_text

Html = NewType("Html", str)
"""What the blocks return, and the only thing that goes into a page as it is."""

Mark = Literal["", "gain", "loss", "clear", "quiet", "note", "code"]

# The browser itself keeps the page from the network.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
)


@dataclass(frozen=True)
class Cell:
    """A cell of a table, or a head; plain text may stand for one.

    Attributes:
        text: The text that is shown.
        value: The number its column is sorted by. None: by the text; NaN: last, either way.
        note: Said after the text, more quietly.
        mark: "gain", "loss" and "clear" are bold, the first two coloured: give the number a sign,
            so that the colour is not alone. "quiet" is for what matters less, "note" for
            sentences, "code" for names of settings.
    """

    text: str
    value: float | None = None
    note: str = ""
    mark: Mark = ""


Row = Sequence[str | Cell]


def document(
    title: str,
    parts: Iterable[Html],
    *,
    eyebrow: str = "",
    ledes: Sequence[str] = (),
    caution: str = "",
) -> str:
    """A whole page, in light and dark, for screens of any width and for paper.

    Args:
        title: Its heading, and its name in a browser.
        parts: Sections, in their order.
        eyebrow: A few words above the heading: what kind of page, of how much.
        ledes: The findings, in a sentence or two each.
        caution: How far to trust it.
    """
    style, script = _read("page.css"), _read("page.js")
    header = [_tag("p", eyebrow, "eyebrow")] if eyebrow else []
    header += [_tag("h1", title), *(_tag("p", lede, "lede") for lede in ledes)]
    header += [_tag("p", caution, "caution")] if caution else []
    lines = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
        "<header>\n" + "\n".join(header) + "\n</header>",
        *parts,
        f"</main>\n<script>\nconst INKS = {json.dumps(INKS)};\n{script}</script>\n</body>\n</html>",
    ]
    return "\n".join(lines) + "\n"


def section(heading: str, caption: str, *body: Html) -> Html:
    """Blocks under a heading; the caption, which may be empty, says how to read them."""
    said = _tag("p", caption, "caption") + "\n" if caption else ""
    return Html(f"<section>\n{_tag('h2', heading)}\n{said}{''.join(body)}</section>")


def table(
    heads: Row,
    rows: Iterable[Row],
    *,
    starts: Sequence[int] = (),
    dense: bool = False,
) -> Html:
    """A table whose rows are sorted by a click, or a key, on a head.

    Args:
        heads: One a column; an empty one gives a column that is not sorted by.
        rows: One cell a head. The first of a row is its name.
        starts: Rows that begin a group, and get a line above.
        dense: Whether columns are set closer, for tables of many.

    Raises:
        ValueError: If a row has another number of cells than there are heads.
    """
    head = "".join(_cell(one, "th scope=col") for one in heads)
    lines = []
    for number, row in enumerate(rows):
        if len(row) != len(heads):
            raise ValueError(
                f"rows must have one cell a head, {len(heads)}, got {len(row)} in row {number}"
            )
        cells = _cell(row[0], "th scope=row") + "".join(_cell(one, "td") for one in row[1:])
        opened = '<tr class="first">' if number in starts else "<tr>"
        lines.append(f"{opened}{cells}</tr>\n")
    kind = ' class="dense"' if dense else ""
    return Html(
        f'<div class="scroll"><table{kind}>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )


def figure_section(illustration: Illustration) -> Html:
    """A figure under its title, with its caption, and its files to be saved from the page."""
    name = escape(illustration.name, quote=True)
    links = [_download(f"{name}.png", "image/png", illustration.png, "PNG")]
    # The script makes the SVG of the drawing that is here: a second copy would double the page.
    links.append(f'<a class="svg" download="{name}.svg" hidden>SVG</a>')
    if illustration.numbers:
        numbers = csv_text(illustration.numbers).encode()
        links.append(_download(f"{name}.csv", "text/csv", numbers, "CSV"))
    kind = " wide" if illustration.narrow is not None else ""
    drawing = f'<div class="scroll{kind}">{_drawing(illustration, illustration.svg, name)}</div>'
    if illustration.narrow is not None:
        narrow = _drawing(illustration, svg_text(illustration.narrow), f"{name}-narrow")
        drawing += f'\n<div class="narrow">{narrow}</div>'
    return Html(
        f"<section>\n{_tag('h2', illustration.title)}\n<figure>\n"
        f'{drawing}\n<figcaption><span id="{name}-caption">'
        f'{escape(illustration.caption)}</span>\n<span class="files">{" ".join(links)}</span>'
        "</figcaption>\n</figure>\n</section>"
    )


def facts(pairs: Mapping[str, str]) -> Html:
    """Names and their values."""
    items = (_tag("dt", name) + _tag("dd", value) for name, value in pairs.items())
    return Html(f"<dl>{''.join(items)}</dl>\n")


def bullets(lines: Sequence[str]) -> Html:
    """A list of sentences; nothing if there are none."""
    return Html(f"<ul>{''.join(_tag('li', line) for line in lines)}</ul>\n" if lines else "")


def command_block(command: str) -> Html:
    """A command to be copied; nothing if it is empty."""
    return Html(_tag("pre", command) + "\n" if command else "")


def details(summary: str, *body: Html) -> Html:
    """Blocks that are folded until a reader opens them; paper shows them."""
    return Html(f"<details>{_tag('summary', summary)}{''.join(body)}</details>\n")


def _cell(cell: str | Cell, tag: str) -> str:
    one = Cell(cell) if isinstance(cell, str) else cell
    kind = f' class="{one.mark}"' if one.mark not in ("", "code") else ""
    value = ""
    if one.value is not None:
        known = "" if math.isnan(one.value) else f"{one.value:.10g}"
        value = f' data-value="{known}"'
    text = escape(one.text)
    text = f"<code>{text}</code>" if one.mark == "code" else text
    note = f" <i>{escape(one.note)}</i>" if one.note else ""
    return f"<{tag}{kind}{value}>{text}{note}</{tag.split()[0]}>"


def _tag(name: str, text: str, kind: str = "") -> str:
    opened = f'{name} class="{kind}"' if kind else name
    return f"<{opened}>{escape(text)}</{name}>"


def _drawing(illustration: Illustration, svg: str, prefix: str) -> str:
    """A drawing inside the page, described to those who cannot see it."""
    alt = escape(illustration.alt or illustration.title, quote=True)
    caption = f"{escape(illustration.name, quote=True)}-caption"
    opened = f'<svg role="img" aria-label="{alt}" aria-describedby="{caption}"'
    return inline_svg(svg, prefix).replace("<svg", opened, 1)


def _download(name: str, media: str, content: bytes, text: str) -> str:
    data = b64encode(content).decode()
    return f'<a download="{name}" href="data:{media};base64,{data}">{text}</a>'


def _read(name: str) -> str:
    return resources.files("equiseg.report").joinpath(name).read_text(encoding="utf-8")
