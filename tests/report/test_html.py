import base64
import math
import re

import pytest
from matplotlib.figure import Figure

from equiseg.report.html import (
    Cell,
    Html,
    bullets,
    command_block,
    details,
    document,
    facts,
    figure_section,
    section,
    table,
)
from equiseg.report.style import Illustration


def illustration(**more):
    figure = Figure()
    figure.subplots().plot([1, 2])
    return Illustration("lines", "Two <lines>", figure, 'A "line" & more.', **more)


def links(html):
    """File name to its bytes, of every link that holds its file."""
    found = re.findall(r'download="([^"]+)" href="data:([\w/]+);base64,([^"]+)"', html)
    return {name: (media, base64.b64decode(data)) for name, media, data in found}


def test_nothing_that_is_given_is_taken_for_a_tag():
    text, escaped = "<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"
    blocks = [
        section(text, text),
        table([text, Cell(text, note=text)], [[text, Cell(text, note=text, mark="code")]]),
        facts({text: text}),
        bullets([text]),
        command_block(text),
        details(text),
    ]
    page = document(text, blocks, eyebrow=text, ledes=[text], caution=text)
    assert "<b>" not in page
    assert page.count(escaped) == 5 + 2 + 6 + 2 + 1 + 1 + 1


def test_values_to_sort_by_are_exact_and_nan_has_none():
    html = table(
        ["a", "b", "c"], [["x", Cell("0.1", 0.123456), Cell("–", math.nan)], ["y", "word", "1"]]
    )
    assert '<td data-value="0.123456">0.1</td><td data-value="">–</td>' in html
    assert "<td>word</td><td>1</td>" in html


def test_marks_and_starts_of_groups():
    rows = [["x", Cell("+1", 1, mark="gain")], ["y", Cell("z", mark="code")]]
    html = table(["", ""], rows, starts=[1], dense=True)
    assert '<table class="dense">' in html
    assert '<td class="gain" data-value="1">+1</td>' in html
    assert '<tr class="first"><th scope=row>y</th><td><code>z</code></td></tr>' in html


def test_rows_that_do_not_fit_their_heads_are_refused():
    with pytest.raises(ValueError, match="one cell a head, 2, got 1 in row 1"):
        table(["a", "b"], [["x", "y"], ["z"]])


def test_a_figure_brings_its_files_and_says_what_is_to_be_seen():
    rows = [{"x": 1, "y": 0.5}, {"x": 2, "y": math.nan, "z": "a, b"}]
    html = figure_section(illustration(numbers=rows, alt='A line "up"'))
    files = links(html)
    assert files["lines.png"][1].startswith(b"\x89PNG")
    assert files["lines.csv"] == ("text/csv", b'x,y,z\r\n1,0.5,\r\n2,,"a, b"\r\n')
    assert '<a class="svg" download="lines.svg"' in html
    assert 'role="img" aria-label="A line &quot;up&quot;"' in html
    described = re.search(r'aria-describedby="([^"]+)"', html).group(1)
    assert f'<span id="{described}">A &quot;line&quot; &amp; more.</span>' in html


def test_a_figure_without_numbers_has_no_csv_and_its_title_for_alt():
    html = figure_section(illustration())
    assert list(links(html)) == ["lines.png"]
    assert 'aria-label="Two &lt;lines&gt;"' in html


def test_a_page_shuts_itself_off_from_the_network():
    page = document("t", [section("h", "", figure_section(illustration()))])
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|<(link|iframe|object)\b|@import|<script[^>]", page)


def test_what_is_empty_leaves_no_trace():
    assert (bullets([]), command_block("")) == ("", "")
    assert "<p" not in document("t", [Html("")])
