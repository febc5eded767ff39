import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equiseg.cli.main import VERBS, main
from equiseg.data.class_looks import ClassLooks
from equiseg.runs.weights import load_weights, save_weights

# Nothing of these is needed to answer a wrong or a curious line.
HEAVY = ("torch", "lightning", "matplotlib", "rich", "scipy", "PIL")


def refused(arguments, capsys) -> str:
    """What is said of a line that is wrong."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def answered(arguments, capsys) -> str:
    """What is said to a line that asks."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    return capsys.readouterr().out


class TestHelp:
    @pytest.mark.parametrize("verb", VERBS)
    def test_the_options_that_matter_fit_a_screen(self, verb, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "100")
        lines = answered([verb, "--help"], capsys).splitlines()
        assert len(lines) <= 45
        assert max(map(len, lines)) <= 100
        options = [line for line in lines if line.startswith("  ") and line.strip()[0] != " "]
        assert options

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_option_is_explained(self, verb, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "100")
        lines = answered([verb, "--help-all"], capsys).splitlines()
        assert any(line.startswith("  --") for line in lines)
        for number, line in enumerate(lines):
            if line.startswith("  --"):
                told = line[34:] or lines[number + 1]
                assert told.strip(), line

    def test_all_options_include_those_of_sections(self, capsys):
        text = answered(["train", "--help-all"], capsys)
        assert "data.augment options:\n" in text
        assert "--data.augment.flip NUMBER" in text
        assert '--evaluation.scales "[NUMBER, ...]"' in text
        assert "--optimizer.name adamw|sgd" in text

    def test_verbs_are_listed(self, capsys):
        text = answered(["--help"], capsys)
        assert all(f"\n  {verb} " in text for verb in VERBS)
        assert refused([], capsys) == text


@pytest.mark.parametrize(
    "line",
    [["--help"], [], ["tran"], ["train", "--help"], ["train", "--mehtod", "ceco", "--out", "o"]],
    ids=" ".join,
)
def test_first_answers_need_no_torch(line):
    code = (
        "import sys\nfrom equiseg.cli.main import main\n"
        f"try: main({line!r})\nexcept SystemExit: pass\n"
        f"sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]


def test_evaluate_scores_a_run(finished_run: Path, tmp_path: Path):
    main(["evaluate", "--run", str(finished_run), "--out", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["miou"] == json.loads((finished_run / "result.json").read_text())["test"]["miou"]


@pytest.mark.parametrize(
    ("tau", "told"),
    [("0.5", "adjusted weights and results are in"), ("0", "is unchanged")],
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


@pytest.mark.parametrize("several", [True, False])
def test_predict_writes_masks_overlays_and_a_legend(several, finished_run: Path, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (70, 50)), ("b.jpg", (64, 48))):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    out = tmp_path / "predicted"
    inputs = f"[{folder}]" if several else str(folder)
    main(["predict", "--weights", str(finished_run), "--inputs", inputs, "--out", str(out)])
    mask = Image.open(out / "masks/a.png")
    assert mask.size == (70, 50)
    assert mask.mode == "P"
    assert np.asarray(mask).max() < 6
    assert Image.open(out / "overlays/b.png").size == (64, 48)
    assert (out / "legend.png").is_file()
    assert not (out / "confidence").exists()
    with (out / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert {row["group"] for row in rows} == {"head", "common", "tail"}
    assert rows[0]["colour"] == "#{:02x}{:02x}{:02x}".format(*mask.getpalette()[:3])
    modes = {file.stat().st_mode for file in out.rglob("*.*") if file.is_file()}
    assert modes == {(folder / "a.png").stat().st_mode}


def test_predicted_masks_hold_the_values_of_the_card_and_confidences(
    finished_run: Path, tmp_path: Path, capsys
):
    network, card = load_weights(finished_run)
    looks = ClassLooks((7, 19, 20, 21, 22, 23), ("#010203",) + (None,) * 5)
    named = tuple(f"=[b{k}]" for k in range(6))
    save_weights(network, replace(card, looks=looks, classes=named), tmp_path / "m.safetensors")
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    line = ["predict", "--weights", str(tmp_path / "m.safetensors"), "--threads", "1"]
    inputs = ["--inputs", f"[{tmp_path / 'b.png'}, {tmp_path / 'a.png'}]"]
    masks = {}
    for values in ("card", "index"):
        out = tmp_path / f"[{values}]"
        with pytest.raises(SystemExit, match=r"(?s)not predicted \(1\):.*b\.png: "):
            main([*line, *inputs, "--out", str(out), "--values", values, "--confidence"])
        masks[values] = np.asarray(Image.open(out / "masks/a.png"))
        told = "".join(capsys.readouterr().out.split())
        assert told.startswith("onemask,overlays,classes.csvandlegend.pngarein")
        assert told.endswith(f"[{values}]")
    assert (np.array(looks.values)[masks["index"]] == masks["card"]).all()
    confidence = np.asarray(Image.open(out / "confidence/a.png"))
    assert confidence.dtype == np.uint8
    assert confidence.shape == (48, 64)
    assert confidence.min() >= 255 // 6
    assert (tmp_path / "[card]/classes.csv").read_text().splitlines()[1] == (
        f"7,'=[b0],#010203,{next(n for n, ids in card.groups if 0 in ids)}"
    )


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
        (["--mehtod", "ceco"], "unknown option --mehtod (did you mean --method?)"),
        (["--epoch", "1"], "unknown option --epoch (did you mean --epochs?)"),
        (["--epochs", "1.5"], "epochs must be a whole number, got 1.5"),
        (["--log_collapse", "maybe"], "log_collapse must be true or false, got maybe"),
        (["--data.size", "64"], 'data.size must be 2 values, as "[a, b]" or null, got 64'),
        (["--data.size", "[1]"], 'data.size must be 2 values, as "[a, b]" or null, got [1]'),
        (["--optimizer.name", "adam"], "optimizer.name must be adamw or sgd, got adam"),
        (["--optimizer.lr=-1"], "optimizer.lr must be finite and >= 0, got -1.0"),
        (["--precision", "8"], "precision must be 32, bf16 or 16, got 8"),
        (["--method.gamma", "2"], "--method has no options of its own"),
        (["--val-every", "1"], "did you mean --val_every?"),
        (["--config"], "--config needs a value: YAML file with any of the options"),
        (["--config", "gone.yaml"], "--config gone.yaml: no such file"),
        (["--method", "crossentropy"], "crossentropy"),
        (["ceco"], "unexpected 'ceco': options start with --"),
    ],
)
def test_a_wrong_option_is_named_without_a_list_of_all(arguments, message, capsys):
    complaint = refused(["train", "--out", "o", *arguments], capsys)
    assert complaint.startswith("equiseg train: ")
    assert message in complaint
    assert complaint.endswith("\nall options: equiseg train --help-all\n")
    assert complaint.count("\n") == 2


def test_a_misspelt_verb_gets_the_nearest(capsys):
    assert "unknown verb 'trian' (did you mean train?)" in refused(["trian"], capsys)


def test_all_required_options_are_named_with_their_meaning(capsys):
    complaint = refused(["predict", "--inputs", "[a.png]"], capsys)
    assert complaint.startswith("equiseg predict: --weights is required: the folder of a run")
    assert "; --out is required: the folder for the results" in complaint
    assert refused(["stats"], capsys).startswith("equiseg stats: DATA is required: the data to ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"epochs: 3\nmethod: [ceco\n", r"broken\.yaml: not valid YAML: .*\(line 3\)"),
        ("# Straße".encode("latin-1"), r"broken\.yaml: not UTF-8 at byte 6 .*save it as UTF-8"),
    ],
)
def test_a_file_of_options_that_cannot_be_read_is_named(text, message, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(text)
    with pytest.raises(SystemExit, match=message):
        main(["train", "--config", str(broken), "--out", "o"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "run.yaml: unknown option epoch (did you mean epochs?)"),
        ("data: {sise: [1, 2]}", "run.yaml: unknown option data.sise (did you mean data.size?)"),
        ("epochs: many", "run.yaml: epochs must be a whole number, got many"),
        ("- 3", "run.yaml: must hold options, as 'epochs: 12', got [3]"),
    ],
)
def test_a_file_of_options_with_wrong_ones_is_named(text, message, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(text)
    complaint = refused(["train", "--config", str(tmp_path / "run.yaml"), "--out", "o"], capsys)
    assert message in complaint


def test_interrupted_training_says_how_to_resume(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("equiseg.training.run.train", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--out", "o"])
    assert stopped.value.code == 130
    told = capsys.readouterr().err
    assert told == "equiseg train: interrupted; repeat the same command to resume\n"


def test_a_switch_stands_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "equiseg.commands.run_comparison.run_comparison",
        lambda plan, jobs, command: asked.append((str(plan.out), command)),
    )
    for arguments in ([], ["--points"], ["--points", "false"], ["--points", "--out", "here"]):
        main(["demo", *arguments])
    assert asked == [
        ("runs/demo", "equiseg demo"),
        ("runs/demo-points", "equiseg demo --points"),
        ("runs/demo", "equiseg demo --points false"),
        ("here", "equiseg demo --points --out here"),
    ]


@pytest.mark.parametrize("verb", ["stats", "doctor"])
def test_a_mistyped_card_is_told_without_torch(verb):
    line = [verb, "no.yaml"]
    code = (
        "import sys\nfrom equiseg.cli.main import main\n"
        f"try: main({line!r})\nexcept SystemExit as stopped: told = str(stopped)\n"
        "sys.exit(0 if 'no.yaml: no such card' in told and 'torch' not in sys.modules else told)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-300:]
