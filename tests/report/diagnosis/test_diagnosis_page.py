import re

import pytest
from equiseg.report.examples.networks import example_illustration
from test_browser import BROWSER, visit

from diagnoses import Stripes, TinyNetwork, tiny_diagnosis
from equiseg.report.diagnosis.page import MEASURES, report_run
from equiseg.report.diagnosis.wording import ledes


@pytest.fixture(scope="module")
def diagnoses():
    return {"before": tiny_diagnosis(seed=1), "after": tiny_diagnosis()}


@pytest.fixture
def page(diagnoses, tmp_path):
    networks = {name: (TinyNetwork(seed=s), Stripes()) for s, name in enumerate(diagnoses)}
    examples = example_illustration(networks, diagnoses["after"].groups)
    return report_run(
        tmp_path, "after <b>", diagnoses, {}, examples, made={"network": "x"}, notes=["a note"]
    )


def test_summary_first_then_tables_and_figures(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        "Scores",
        "Class by class",
        "How sure it is, and how right",
        "Neural collapse",
        "Head, common and tail",
        "Angles between class centers",
        "Angles between the classifier&#x27;s rows",
        "Closest pairs",
        "Frequent classes and good ones",
        "Every class",
        "Which classes the gradient hears",
        "Rare classes in pictures",
        "How it was made",
    ]
    assert text.index('class="lede"') < text.index("<h2>")
    assert "after &lt;b&gt;" in text
    for _, paper in MEASURES.values():
        assert paper in text
    assert "a note" in text


def test_every_figure_is_a_file_with_its_numbers(page):
    files = {file.name for file in (page.parent / "figures").iterdir()}
    names = (
        "classes",
        "reliability",
        "centers",
        "classifier",
        "frequency",
        "gradients",
        "examples",
    )
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")}


def test_one_network_has_no_differences(tmp_path):
    diagnosis = tiny_diagnosis()
    page = report_run(tmp_path, "alone", {"alone": diagnosis}, {})
    text = page.read_text(encoding="utf-8")
    assert "difference" not in text.split("</style>")[1].split("<script>")[0]


def test_words_speak_of_the_last_network_and_set_the_other_beside(diagnoses):
    said = ledes(diagnoses)
    assert said[0].startswith("after reaches a mIoU of ")
    assert "(before: " in said[0]
    assert all(line.endswith(".") for line in said)
    alone = ledes({"after": diagnoses["after"]})
    assert not any("before" in line for line in alone)


def test_without_a_labelled_tail_there_are_no_pictures(diagnoses):
    data = Stripes()
    groups = diagnoses["after"].groups
    rare = type(groups)(groups.head, groups.common, (6,))  # in no image
    assert example_illustration({"after": (TinyNetwork(), data)}, rare) is None


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the page in")
def test_it_loads_without_errors_and_its_pairs_sort(page):
    script = """
    const tables = [...document.querySelectorAll("table")];
    const pairs = tables.find((table) => table.tHead.textContent.includes("first as second"));
    pairs.tHead.rows[0].cells[2].querySelector("button").click();
    return [...pairs.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value));
    """
    confused, messages = visit(page, script)
    assert messages == []
    assert confused == sorted(confused, reverse=True)
    assert len(confused) > 5
