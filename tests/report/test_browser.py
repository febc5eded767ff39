"""The page in a real browser: no errors, tables that sort, nothing wider than a phone."""

import pytest

from browser import BROWSER, visit
from equiseg.report.comparison.figures import class_figure
from equiseg.report.comparison.sections import write_page
from equiseg.report.style import Illustration

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the page in")


@pytest.fixture
def page(tmp_path, make_comparison):
    comparison = make_comparison()
    rows = [{"class": name} for name in comparison.classes]
    figure = class_figure(comparison)
    shown = Illustration("classes", "Class by class", figure, "Caption.", rows, "Alt.")
    write_page(tmp_path / "report.html", "a against b", comparison, [shown], ["note"])
    return tmp_path / "report.html"


def test_tables_sort_by_click_and_go_back(page):
    script = """
    const table = document.querySelectorAll("table")[1];
    const heads = [...table.tHead.rows[0].cells];
    const look = () => [
      [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.split(" ")[1]).join(""),
      heads.map((head) => head.ariaSort),
    ];
    const seen = [look()];
    for (const column of [2, 2, 2, 0, 4]) {
      heads[column].querySelector("button").click();
      seen.push(look());
    }
    return seen;
    """
    (first, *seen), messages = visit(page, script)
    assert messages == []
    assert first == ["012345", [None] * 6]
    orders, marks = zip(*seen, strict=True)
    # By IoU: the largest first, the smallest first, as it was; class 5 has none and stays last.
    assert orders[:4] == ("012345", "432105", "012345", "012345")
    assert [next(filter(None, some), None) for some in marks] == [
        "descending",
        "ascending",
        None,
        "ascending",
        "descending",
    ]
    assert orders[4][0] == "4"  # gains on the tail
    assert orders[4][-1] == "5"


def test_heads_are_reached_and_used_by_key(page):
    script = """
    const head = document.querySelector("thead th:nth-child(2)");
    head.querySelector("button").focus();
    const focused = document.activeElement.parentElement === head;
    return [focused, document.activeElement.tagName, document.activeElement.textContent];
    """
    answer, _ = visit(page, script)
    assert answer == [True, "BUTTON", "plain"]


def test_the_svg_is_a_picture_of_its_own(page):
    script = """
    const link = document.querySelector("a.svg");
    link.addEventListener("click", (event) => event.preventDefault());
    link.click();
    const picture = new Image();
    picture.src = link.href;
    await picture.decode();
    return [link.hidden, link.href.slice(0, 5), picture.naturalWidth > 600];
    """
    answer, messages = visit(page, script)
    assert answer == [False, "blob:", True]
    assert messages == []


def test_the_page_cannot_reach_the_network(page):
    script = """
    try { await fetch("https://example.org"); } catch (error) { return error.name; }
    """
    answer, messages = visit(page, script)
    assert answer == "TypeError"
    assert any("Content Security Policy" in message for message in messages)


@pytest.mark.parametrize(("scheme", "dark"), [(0, True), (1, False)])
def test_it_is_dark_where_the_reader_likes_that(page, scheme, dark):
    script = """
    const style = getComputedStyle(document.body);
    return [style.backgroundColor, style.color].map((color) => Number(color.match(/[0-9]+/)[0]));
    """
    (paper, ink), _ = visit(page, script, f"--blink-settings=preferredColorScheme={scheme}")
    assert (paper < 60 and ink > 200) == dark
    assert (paper > 200 and ink < 60) != dark


def test_a_phone_scrolls_tables_and_figures_but_not_the_page(page, tmp_path):
    frame = tmp_path / "phone.html"
    frame.write_text(f'<body><iframe src="{page.name}" width="375" height="800"></iframe></body>')
    script = """
    const frame = document.querySelector("iframe");
    await new Promise((loaded) => { frame.onload = loaded; });
    const root = frame.contentDocument.documentElement;
    const wider = [...root.querySelectorAll(".scroll")].filter((s) => s.scrollWidth > 375);
    return [root.clientWidth, root.scrollWidth, wider.length > 0];
    """
    frame.write_text("<title></title>" + frame.read_text())
    (width, content, wider), _ = visit(frame, script, "--allow-file-access-from-files")
    assert content <= width <= 375
    assert wider
