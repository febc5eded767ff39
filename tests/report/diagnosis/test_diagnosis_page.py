import re
from dataclasses import replace

import pytest

from browser import BROWSER, visit
from diagnoses import Stripes, TinyNetwork, tiny_record
from equiseg.diagnosis.example_panels import example_panels
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.catalogue import MEASURES
from equiseg.records.diagnosis import DiagnosisPage
from equiseg.report.diagnosis.page import report_diagnosis
from equiseg.report.diagnosis.wording import confusion, ledes


@pytest.fixture(scope="module")
def diagnoses():
    return {"before": tiny_record(seed=1), "after": tiny_record()}


@pytest.fixture
def page(diagnoses, tmp_path):
    networks = {name: (TinyNetwork(seed=s), Stripes()) for s, name in enumerate(diagnoses)}
    groups = FrequencyGroups.from_mapping(diagnoses["after"].groups)
    examples = example_panels(networks, groups)
    shown = {"before <b>": diagnoses["before"], "after": diagnoses["after"]}
    made = {"network": "x"}
    return report_diagnosis(tmp_path, DiagnosisPage(shown, "stripes", "test", made), examples)


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
    assert "Diagnosis of after, compared with before &lt;b&gt;" in text
    for measure in MEASURES.values():
        assert measure.source in text


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
    page = report_diagnosis(tmp_path, DiagnosisPage({"alone": tiny_record()}, "stripes", "test"))
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
    groups = FrequencyGroups.from_mapping(diagnoses["after"].groups)
    rare = FrequencyGroups(groups.head, groups.common, (6,))  # in no image
    assert example_panels({"after": (TinyNetwork(), data)}, rare) is None


def test_confusions_are_said_in_words(diagnoses):
    record = diagnoses["after"]
    confusion_KK = record.confusion_KK.copy()
    confusion_KK[3] = [60, 30, 0, 9, 1, 0, 0]
    changed = replace(record, confusion_KK=confusion_KK)
    assert confusion(changed, 3) == (
        "class 3: found 9 %, taken for class 0 60 %, class 1 30 %, class 4 1 %"
    )
    assert confusion(changed, 6) == ""  # in no image


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
