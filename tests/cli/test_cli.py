import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equiseg.cli.main import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    options = [line for line in text.split("options:")[1].splitlines() if line.startswith("  --")]
    assert options
    bare = [line for line in options if line.strip().startswith("--config CONFIG")]
    assert bare or verb not in ("train", "compare")


def test_evaluate_scores_a_run(finished_run: Path, tmp_path: Path):
    main(["evaluate", "--run", str(finished_run), "--out", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["miou"] == json.loads((finished_run / "result.json").read_text())["test"]["miou"]


@pytest.mark.parametrize(
    ("tau", "told"),
    [("0.5", "adjusted weights and results are in"), ("0", "tau 0 adjusts nothing")],
)
def test_adjust_scores_the_network_it_writes(tau, told, finished_run, tmp_path, capsys):
    out = tmp_path / "out"
    main(["adjust", "--run", str(finished_run), "--out", str(out), "--tau", tau])
    shown = " ".join(capsys.readouterr().out.split())
    assert told in shown
    assert "was not trained with plain cross entropy" in shown  # it is ceco
    plain, adjusted = (
        json.loads((folder / "result.json").read_text())["test"]["confusion"]
        for folder in (finished_run, out)
    )
    assert (plain == adjusted) == (tau == "0")


def test_predict_writes_masks_overlays_and_a_legend(finished_run: Path, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (70, 50)), ("b.jpg", (64, 48))):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    out = tmp_path / "predicted"
    main(["predict", "--weights", str(finished_run), "--inputs", f"[{folder}]", "--out", str(out)])
    mask = Image.open(out / "masks/a.png")
    assert mask.size == (70, 50)
    assert mask.mode == "P"
    assert np.asarray(mask).max() < 6
    assert Image.open(out / "overlays/b.png").size == (64, 48)
    assert (out / "legend.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--weights", "no", "--inputs", "[x.png]", "--out", "o"], "no such weights"),
        (["evaluate", "--run", "nowhere"], "no such configuration"),
        (["train", "--data.card", "camvid", "--data.root", "no", "--out", "o"], "does not exist"),
        (["train", "--data.card", "unknown", "--out", "o"], "no data card 'unknown'"),
    ],
)
def test_errors_are_one_line_without_a_traceback(arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert message in str(stopped.value)
    assert str(stopped.value).startswith(f"equiseg {arguments[0]}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--mehtod", "ceco", "--out", "o"], "--mehtod ceco; did you mean --method?"),
        (["train", "--epoch", "1", "--out", "o"], "--epoch 1; did you mean --epochs?"),
        (["train", "--epochs", "1.5", "--out", "o"], "epochs: must be a whole number, got 1.5"),
        (["train", "--log_collapse", "maybe", "--out", "o"], "must be true or false, got"),
        (["train", "--data.size", "64", "--out", "o"], 'data.size: must be "[int, int]" or null'),
        (["train", "--optimizer.name", "adam", "--out", "o"], "must be adamw or sgd, got adam"),
        (["train", "--precision", "8", "--out", "o"], "precision: must be 32, bf16 or 16, got 8"),
        (["train", "--method.gamma", "2", "--out", "o"], "method has no option gamma"),
        (["train"], "needs out"),
        (["train", "--val-every", "1", "--out", "o"], "did you mean --val_every?"),
        (["train", "--config"], "--config: expected one argument"),
        (["train", "--config", "gone.yaml"], "config: File does not exist: "),
    ],
)
def test_a_wrong_option_is_told_without_listing_all_of_them(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    complaint = capsys.readouterr().err
    assert stopped.value.code == 2
    assert complaint.startswith("equiseg train: ")
    assert message in complaint
    assert complaint.endswith("all options: equiseg train --help\n")
    assert "--log_collapse LOG" not in complaint


def test_all_options_that_are_missing_are_told(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--inputs", "[a.png]"])
    assert capsys.readouterr().err.startswith("equiseg predict: needs weights, out\n")


def test_a_list_that_is_none_is_told(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--seeds", "0,1", "--out", "o"])
    assert 'seeds: must be a list, as "[a, b]", got 0,1' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"epochs: 3\nmethod: [ceco\n", r"broken\.yaml: not valid YAML: .*\(line 3\)"),
        ("# Straße".encode("latin-1"), r"broken\.yaml: cannot be read \(.*save it as UTF-8"),
    ],
)
def test_a_file_of_options_that_cannot_be_read_is_named(text, message, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(text)
    with pytest.raises(SystemExit, match=message):
        main(["train", "--config", str(broken), "--out", "o"])


def test_a_switch_stands_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "equiseg.commands.demo.run_comparison", lambda *given, **_: asked.append(given[2])
    )
    for arguments in ([], ["--points"], ["--points", "false"], ["--points", "--out", "here"]):
        main(["demo", *arguments])
    assert list(map(str, asked)) == ["runs/demo", "runs/demo-points", "runs/demo", "here"]
