import dataclasses
import re

import pytest

from equiseg.report.comparison.figures import class_figure
from equiseg.report.comparison.sections import write_page
from equiseg.report.style import Illustration


@pytest.fixture
def page(tmp_path):
    def write(comparison, *args, **kwargs):
        write_page(tmp_path / "report.html", "ceco against plain", comparison, *args, **kwargs)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def test_page_needs_nothing_but_itself(page, make_comparison):
    comparison = make_comparison()
    figure = Illustration("classes", "Class by class", class_figure(comparison), "What it shows.")
    text = page(dataclasses.replace(comparison, command="equiseg compare --out here"), [figure])
    assert not re.search(r"https?://", text)
    assert not re.search(r"<(link|iframe|object)\b|<script[^>]|@import|(?<!data:)\bsrc=", text)
    assert "<svg" in text
    assert "prefers-color-scheme: dark" in text
    assert "equiseg compare --out here" in text


def test_every_tag_is_closed(page, make_comparison):
    comparison = make_comparison(variants=("plain", "ceco", "other"))
    text = page(dataclasses.replace(comparison, command="a command"), [], ["a note"])
    for tag in ("table", "tr", "td", "th", "section", "details", "dl", "p", "i", "main", "ul"):
        assert len(re.findall(rf"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag


def test_rows_have_as_many_cells_as_the_head(page, make_comparison):
    text = page(make_comparison(variants=("plain", "ceco", "other")), [])
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) == 5
    for table in tables:
        cells = {len(re.findall("<t[hd][ >]", row)) for row in table.split("</tr>")[:-1]}
        assert len(cells) == 1


def test_names_are_escaped(page, make_comparison):
    comparison = make_comparison(variants=("<script>a", "b&c"))
    comparison.classes[0] = "<img src=x>"
    comparison = dataclasses.replace(comparison, command="<i>")
    text = page(comparison, [], notes=["<b>"]).split("<main>")[1]
    assert "<script>a" not in text
    assert "<img" not in text
    assert "&lt;img src=x&gt;" in text
    assert "b&amp;c" in text
    assert "<li>&lt;b&gt;</li>" in text


def test_a_class_without_a_score_has_a_dash(page, make_comparison):
    text = page(make_comparison(), [])
    row = re.search(r"<tr><th scope=row>class 5 <i>tail</i></th>.*?</tr>", text)
    assert row is not None
    assert row.group().count('data-value="">–') == 4  # two scores, a difference, an interval
    assert "nan" not in text.split("<main>")[1].lower()


def test_one_seed_gives_no_interval_and_says_so(page, make_comparison):
    text = page(make_comparison(num_seeds=1), [])
    assert "95 % interval" not in text
    assert "One seed: there is no interval, and any difference may be chance." in text
    assert "±" not in text
    assert 'class="gain"' not in text


def test_three_seeds_are_an_indication(page, make_comparison):
    assert "an indication, not a proof" in page(make_comparison(num_seeds=3), [])


def test_five_seeds_need_no_caution(page, make_comparison):
    text = page(make_comparison(num_seeds=5, gain=0.05), [])
    assert "an indication" not in text
    assert "The gain on the tail is significant." in text
    assert 'class="gain"' in text


def test_settings_that_differ_are_listed_apart_from_shared_ones(page, make_comparison):
    differing, shared = page(make_comparison(), []).split("Shared settings")
    assert "<code>method</code>" in differing
    assert "<dt>ceco.scale</dt>" in shared
    assert "<dt>seed</dt>" not in shared


def test_one_variant_is_reported_alone(page, make_comparison):
    text = page(make_comparison(variants=("plain",)), [])
    assert "plain reaches a mIoU of" in text
    assert "difference" not in text.split("<main>")[1]


def test_only_measures_that_were_taken_are_shown(page, make_comparison):
    comparison = make_comparison()
    assert "cdnv" not in page(comparison, [])
    for run in (run for runs in comparison.runs.values() for run in runs):
        run["test"]["collapse"] |= {"cdnv": 0.25, "num_present": 6}
    text = page(comparison, [])
    assert re.search(r"<th scope=row>cdnv</th><td data-value=\"0.25\">0.250", text)
    assert "num present" not in text


def test_tables_of_many_variants_are_set_closer(page, make_comparison):
    assert '<table class="dense">' not in page(make_comparison(), [])
    text = page(make_comparison(variants=("plain", "ceco", "other")), [])
    assert text.count('<table class="dense">') == 3


def test_a_run_that_went_on_for_its_scores_alone_has_no_timings(page, make_comparison):
    comparison = make_comparison(num_seeds=2)
    comparison.runs["ceco"][1].update(step_seconds=None, data_wait_share=None)
    rows = page(comparison, []).split("waiting for data")[1].split("</table>")[0]
    assert rows.count('data-value="">–') == 2
