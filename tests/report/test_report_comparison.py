import dataclasses

import pytest
import torch

from equiseg.data.scenes import SceneConfig
from equiseg.imbalance import FrequencyGroups
from equiseg.models import build_model
from equiseg.report.comparison import report_comparison
from equiseg.training.config import DataConfig, ModelConfig, TrainConfig
from equiseg.training.config_file import write_config
from equiseg.training.sources import open_split
from equiseg.training.weights import ModelCard, save_weights


@pytest.fixture
def finished(tmp_path, make_comparison):
    """A folder as compare leaves it, with networks that learned nothing."""
    scenes = SceneConfig(num_classes=6, image_size=(48, 64))
    data = DataConfig(scenes=scenes, num_scenes=(2, 2, 4))
    classes = open_split(data, "test").classes
    comparison = dataclasses.replace(make_comparison(num_seeds=1), classes=list(classes))
    groups = FrequencyGroups.from_mapping(comparison.groups)
    torch.manual_seed(0)
    model = build_model("fpn-small", len(classes))
    for name in comparison.runs:
        folder = tmp_path / name / "seed0"
        config = TrainConfig(data=data, model=ModelConfig("fpn-small"))
        write_config(config, folder / "config.yaml")
        card = ModelCard("fpn-small", classes, 255, None, groups)
        save_weights(model, card, folder / "model.safetensors")
    return tmp_path, comparison


def test_page_and_figures_of_a_finished_comparison(finished):
    out, comparison = finished
    page = report_comparison(out, comparison, "equiseg compare")
    assert page == out / "report.html"
    figures = {file.stem for file in (out / "figures").iterdir()}
    assert figures == {"classes", "examples", "cosines"}  # no logs, no curves
    text = page.read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 3
    assert "4 images of the test split" in text


def test_without_weights_the_page_says_what_is_missing(finished):
    out, comparison = finished
    (out / comparison.baseline / "seed0" / "model.safetensors").unlink()
    text = report_comparison(out, comparison, "").read_text(encoding="utf-8")
    assert text.count("<figcaption>") == 1
    assert "No examples and no centers are shown" in text
    assert "no such weights" in text
