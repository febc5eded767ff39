import re

import pytest

from browser import BROWSER, visit
from diagnoses import Stripes, TinyNetwork, tiny_diagnosis, tiny_record
from equiseg.diagnosis.example_panels import example_panels
from equiseg.metrics.catalogue import MEASURES
from equiseg.records.diagnosis import DiagnosisPage
from equiseg.report.diagnosis.page import report_diagnosis
from equiseg.report.diagnosis.wording import confusion, ledes


@pytest.fixture(scope="module")
def networks():
    return {"before": tiny_record(seed=1), "after <b>": tiny_record()}


@pytest.fixture
def page(networks, tmp_path):
    shown = {name: (TinyNetwork(seed=s), Stripes()) for s, name in enumerate(networks)}
    panels = example_panels(shown, tiny_diagnosis().groups)
    known = DiagnosisPage(networks, "stripes", "val", made={"network": "x"}, command="a command")
    return report_diagnosis(tmp_path, known, panels)


def test_summary_first_then_tables_and_figures(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        "Scores",
        "Class by class",
        "Calibration",
        "Confusions of rare classes",
        "Neural collapse",
        "Head, common and tail",
        "Angles between class centers",
        "Angles between classifier rows",
        "Closest pairs",
        "IoU and class frequency",
        "Every class",
        "Gradient per class",
        "Examples with rare classes",
        "How it was made",
    ]
    assert text.index('class="lede"') < text.index("<h2>")
    assert "Diagnosis of after &lt;b&gt;, compared with before" in text
    assert "after <b>" not in text
    for measure in MEASURES.values():
        assert measure.source in text
    assert "a command" in text


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
    known = DiagnosisPage({"alone": tiny_record()}, "stripes", "val")
    text = report_diagnosis(tmp_path, known).read_text(encoding="utf-8")
    assert "difference" not in text.split("</style>")[1].split("<script>")[0]


def test_the_findings_are_of_the_last_network_with_the_other_in_brackets(networks):
    said = ledes(networks)
    assert said[0].startswith("after <b> reaches a mIoU of ")
    assert "(before: " in said[0]
    assert all(line.endswith(".") for line in said)
    alone = ledes({"after": networks["after <b>"]})
    assert not any("before" in line for line in alone)


def test_confusions_in_words_name_the_largest_shares_first(networks):
    record = networks["before"]
    row_K = record.confusion_KK[0]
    row_K[:] = [50, 30, 0, 15, 4, 1, 0]
    assert confusion(record, 0) == (
        "class 0: found 50 %, taken for class 1 30 %, class 3 15 %, class 4 4 %"
    )
    assert confusion(record, 6) == ""  # not in these data


def test_without_a_labelled_tail_there_are_no_examples(networks):
    groups = tiny_diagnosis().groups
    rare = type(groups)(groups.head, groups.common, (6,))  # in no image
    assert example_panels({"after": (TinyNetwork(), Stripes())}, rare) is None


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
