"""equiseg doctor, called as the command calls it."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from equiseg.commands import DoctorOptions, doctor


@pytest.fixture
def card(tmp_path):
    """A card of eight training images and one of val, all alike, with a [tag] in a class name."""
    for split, count in (("train", 8), ("val", 1)):
        for folder in ("images", "annotations"):
            (tmp_path / folder / split).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((32, 32, 3), 20 * index + 110 * (split == "val") + 16, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"images/{split}/{index}.png")
            values = (np.arange(32 * 32).reshape(32, 32) // 512).astype(np.uint8)
            Image.fromarray(values).save(tmp_path / f"annotations/{split}/{index}.png")
    file = tmp_path / "toy.yaml"
    fields = {"name": "toy", "classes": ["sky", "road", "[b]car[/b]"], "root": "."}
    file.write_text(yaml.dump(fields | {"splits": {"train": "train", "val": "val"}}))
    return file


def test_findings_are_printed_with_what_to_do(card, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")  # a long path stays on its line
    doctor(str(card), DoctorOptions(min_images=5))
    text = " ".join(capsys.readouterr().out.split())
    assert "warning classes: no image holds 1 class ([b]car[/b])" in text
    assert "→ where the network predicts one" in text
    assert text.endswith("toy.yaml: 1 warning, 1 hint")


def test_errors_give_status_1_and_names_are_printed_as_they_are(card, capsys):
    (card.parent / "annotations/val/0.png").unlink()
    with pytest.raises(SystemExit) as stopped:
        doctor(str(card), DoctorOptions(min_images=9))
    assert stopped.value.code == 1
    text = capsys.readouterr().out
    assert "[b]car[/b]" in text
    assert "no mask named 0" in " ".join(text.split())


def test_json_is_for_machines(card, capsys):
    doctor(str(card), DoctorOptions(min_images=5, json=True))
    found = json.loads(capsys.readouterr().out)
    assert [f["severity"] for f in found] == ["warning", "hint"]
    assert all(f["subject"] and f["seen"] and f["advice"] for f in found)


def test_the_network_says_how_many_dimensions_there_are(card, capsys, monkeypatch):
    fields = yaml.safe_load(card.read_text()) | {"classes": [f"class {k}" for k in range(99)]}
    card.write_text(yaml.dump(fields))
    doctor(str(card), DoctorOptions(min_images=5))
    assert "99 classes, but 96 features" in " ".join(capsys.readouterr().out.split())
    doctor(str(card), DoctorOptions(model="segformer-b0", min_images=5))
    assert "features before" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="takes point clouds"):
        doctor(str(card), DoctorOptions(model="minkunet-small"))
