"""A user's own network and data set in every verb."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equiseg.cli.main import main
from places import ROOT

DATA = f"{ROOT / 'examples/own_data.py'}:Discs"
MODEL = f"{ROOT / 'examples/own_model.py'}:build"
FORMAT = ROOT / "examples/own_format.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("own") / "run"
    options = ["--data.card", DATA, "--model.name", MODEL, "--epochs", "2", "--batch_size", "4"]
    options += ["--data.num_workers", "2", "--data.size", "[32, 48]", "--data.augment.rare", "0.5"]
    options += ["--data.augment.crop", "[24, 24]"]
    main(["train", *options, "--out", str(out)])
    return out


def test_the_run_is_scored_on_its_test_split(run, tmp_path):
    result = json.loads((run / "result.json").read_text())
    assert result["classes"] == ["ground", "disc", "ring"]
    main(["evaluate", "--run", str(run), "--out", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["miou"] == pytest.approx(result["test"]["miou"])


def test_it_is_diagnosed(run, tmp_path, capsys):
    main(["diagnose", str(run), "--out", str(tmp_path / "page")])
    assert (tmp_path / "page" / "report.html").is_file()
    capsys.readouterr()
    main(["diagnose", str(run), "--data", DATA, "--split", "val", "--json"])
    assert json.loads(capsys.readouterr().out)


def test_it_is_adjusted(run, tmp_path):
    main(["adjust", "--run", str(run), "--out", str(tmp_path / "a")])


def test_its_classes_are_counted_and_checked(capsys):
    main(["stats", DATA, "--json"])
    assert json.loads(capsys.readouterr().out)["title"] == "Discs"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        main(["doctor", DATA, "--model", MODEL])


def test_files_are_predicted_where_the_network_takes_rgb(run, tmp_path):
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(picture)
    given = ["--inputs", str(picture), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="predict reads RGB images, this network takes 2 channels"):
        main(["predict", "--weights", str(run), *given])
    options = ["--data.num_samples", "[8, 2, 2]", "--data.pictures.image_size", "[48, 64]"]
    options += ["--model.name", MODEL, "--epochs", "1", "--batch_size", "4"]
    main(["train", *options, "--out", str(tmp_path / "rgb")])
    main(["predict", "--weights", str(tmp_path / "rgb"), *given])
    assert np.asarray(Image.open(tmp_path / "out/masks/a.png")).shape == (48, 64)


def test_scans_of_an_own_format_are_trained_on_and_predicted(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for scan in range(2):
            codes = rng.integers(1, 3, 300)
            rows = [rng.uniform(0, 9, (300, 2)), codes, rng.random(300), codes]
            np.savetxt(tmp_path / split / f"{scan}.xyz", np.column_stack(rows))
    (tmp_path / "own_format.py").write_text(FORMAT.read_text())
    card = tmp_path / "fields.yaml"
    card.write_text(
        "name: fields\nform: own_format.py:read\npoints: '{split}/*.xyz'\nroot: .\n"
        "splits: {train: train, val: val}\nclasses: {1: ground, 2: bush}\n"
        "features: [grey]\nvoxel: 0.5\n"
    )
    options = ["--data.card", str(card), "--epochs", "1", "--batch_size", "2"]
    main(["train", *options, "--out", str(tmp_path / "run")])
    given = ["--inputs", str(tmp_path / "val"), "--out", str(tmp_path / "out")]
    main(["predict", "--weights", str(tmp_path / "run"), *given])
    assert sorted(file.name for file in (tmp_path / "out/scans").iterdir()) == ["0.ply", "1.ply"]
