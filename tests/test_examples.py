"""Every example for code of one's own runs as its file says."""

import runpy

import pytest

from places import ROOT


@pytest.mark.parametrize("name", ["own_model", "own_data", "own_transform", "own_format"])
def test_an_example_runs(name, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    file = ROOT / f"examples/{name}.py"
    assert len(file.read_text().splitlines()) < 50
    runpy.run_path(str(file), run_name="__main__")
    assert "weights and results are in" in capsys.readouterr().out
