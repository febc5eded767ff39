"""equiseg report: pages from records, without torch."""

import json
import shutil
import subprocess
import sys

import pytest

from equiseg.commands.draw_page import draw_page

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class NoTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch is blocked")

sys.meta_path.insert(0, NoTorch())
from equiseg.cli.main import main
main(["report", *sys.argv[1:]])
"""


def report_without_torch(folder, out):
    command = [sys.executable, "-c", BLOCKED, str(folder), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return (out / "report.html").read_text(encoding="utf-8")


def test_a_run_is_drawn_without_torch_weights_or_data(finished_run, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(finished_run / "result.json", tmp_path / "run")
    text = report_without_torch(tmp_path / "run", tmp_path / "page")
    assert "One run: another seed may score differently." in text
    assert "<h2>Class by class</h2>" in text
    result = json.loads((finished_run / "result.json").read_text())
    assert f" on {result['data']}</h1>" in text


def test_a_record_of_another_version_is_refused(finished_run, tmp_path):
    result = json.loads((finished_run / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps(result | {"version": 9}))
    with pytest.raises(ValueError, match=r"result\.json: the record has version 9, this equiseg"):
        draw_page(tmp_path)


def test_a_result_of_before_there_were_versions_is_drawn(finished_run, tmp_path):
    result = json.loads((finished_run / "result.json").read_text())
    for key in ("kind", "version", "data"):
        del result[key]
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert draw_page(tmp_path).is_file()


def test_a_folder_without_records_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="has no records of a page"):
        draw_page(tmp_path)
