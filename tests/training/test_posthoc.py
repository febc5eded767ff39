import json
from pathlib import Path

import pytest
import torch
from torch import nn

from equiseg.imbalance import class_prior
from equiseg.losses import adjusted_logits
from equiseg.training.posthoc import adjust_classifier
from equiseg.training.run import train
from equiseg.training.weights import load_weights
from runs import tiny_config

PRIOR = torch.tensor([0.7, 0.2, 0.1])


def test_an_adjusted_classifier_makes_adjusted_logits():
    classifier, features = nn.Conv2d(4, 3, 1), torch.randn(2, 4, 5, 5)
    expected = adjusted_logits(classifier(features), PRIOR, 0.5)
    adjust_classifier(classifier, PRIOR, 0.5)
    torch.testing.assert_close(classifier(features), expected)


def test_without_a_bias_it_is_refused():
    with pytest.raises(ValueError, match=r"moves the bias of the classifier, .* has none"):
        adjust_classifier(nn.Conv2d(4, 3, 1, bias=False), PRIOR, 0.5)


def test_a_run_is_adjusted_after_training(tmp_path: Path):
    config = tiny_config(epochs=1, method="cross_entropy")
    train(config, tmp_path / "plain")
    train(tiny_config(epochs=1, method="cross_entropy", adjust=1.0), tmp_path / "adjusted")
    plain, adjusted = (
        load_weights(tmp_path / name / "model.safetensors")[0] for name in ("plain", "adjusted")
    )
    pixels = json.loads((tmp_path / "plain" / "result.json").read_text())["pixels"]
    moved = plain.classifier.bias - adjusted.classifier.bias
    torch.testing.assert_close(moved, class_prior(pixels).log().float(), atol=1e-5, rtol=1e-5)
    assert torch.equal(plain.classifier.weight, adjusted.classifier.weight)
    with pytest.raises(ValueError, match="adjust must be 0 or more, got -1"):
        tiny_config(adjust=-1.0)
