"""The page prints the committed run, and that run is long enough and without a fault."""

import json

from benchmarks.robustness.table import RESULTS, page_tables

from places import ROOT


def test_the_page_has_the_tables_of_the_committed_run():
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    assert page_tables(record) in page


def test_the_committed_run_is_long_and_has_no_fault():
    parts = json.loads(RESULTS.read_text(encoding="utf-8"))["parts"]
    number = {
        name: sum(sum(row.values()) for row in part["rows"].values())
        for name, part in parts.items()
    }
    assert number["inputs"] >= 20_000
    assert number["lines"] >= 2_000
    assert number["kills"] >= 200
    assert [part["faults"] for part in parts.values()] == [[], [], []]
