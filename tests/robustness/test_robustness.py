"""A small part of `python -m benchmarks.robustness`: the same code in small numbers."""

import json
import subprocess
import sys

import pytest
from benchmarks.robustness.table import page_tables

from places import ROOT

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are Linux's"),
]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """What a run of its own process writes: threads of other tests do not survive a fork."""
    out = tmp_path_factory.mktemp("robustness") / "record.json"
    numbers = ["--inputs", "500", "--lines", "40", "--kills", "4"]
    command = [sys.executable, "-m", "benchmarks.robustness", *numbers, "--out", str(out)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.is_file(), ended.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.mark.parametrize("part", ["inputs", "lines", "kills"])
def test_no_fault(record, part):
    found = record["parts"][part]
    assert found["faults"] == []
    assert sum(map(sum, (row.values() for row in found["rows"].values()))) > 0


def test_the_table_has_every_row(record):
    text = page_tables(record)
    for part in record["parts"].values():
        for row in part["rows"]:
            assert f"| {row} |" in text
