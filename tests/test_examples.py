"""Every example runs as its file says."""

import runpy

import pytest

from places import ROOT

TRAINED = "weights and results are in"
PRINTED = {
    "own_data": TRAINED,
    "own_format": TRAINED,
    "own_loop": "mIoU 0.",
    "own_loss": "Poly1Loss keeps the contract",
    "own_model": TRAINED,
    "own_transform": TRAINED,
    "points": "step 12: points",
    "write_image_folder": "street/: images and masks",
}


def test_every_example_is_listed_and_short():
    files = list((ROOT / "examples").glob("*.py"))
    assert {file.stem for file in files} == set(PRINTED)
    assert all(len(file.read_text(encoding="utf-8").splitlines()) < 50 for file in files)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_runs(name, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    runpy.run_path(str(ROOT / f"examples/{name}.py"), run_name="__main__")
    assert PRINTED[name] in capsys.readouterr().out
