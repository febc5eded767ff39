from dataclasses import replace
from pathlib import Path

import pytest
import torch

from equiseg.data.class_looks import ClassLooks
from equiseg.imbalance import FrequencyGroups
from equiseg.models import build_model
from equiseg.runs.weights import ModelCard, load_weights, save_weights

GROUPS = FrequencyGroups((0,), (1,), (2,))


def card_of(name: str, model: torch.nn.Module) -> ModelCard:
    configuration = getattr(model, "configuration", None)
    return ModelCard(name, ("a", "b", "c"), 255, None, GROUPS, configuration)


@pytest.mark.parametrize("name", ["fpn-small", "fpn-lite0"])
def test_weights_come_back_with_their_network(name: str, tmp_path: Path):
    model = build_model(name, 3).eval()
    save_weights(model, card_of(name, model), tmp_path / "model.safetensors")
    loaded, card = load_weights(tmp_path)
    assert card.classes == ("a", "b", "c")
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(images), model(images))


def test_a_pretrained_network_comes_back_with_its_own_configuration(tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    # As segformer-b0, save for what neither the name nor the shapes of the weights tell.
    config = transformers.SegformerConfig(
        decoder_hidden_size=64, hidden_act="relu", layer_norm_eps=1e-2, num_labels=3
    )
    folder = tmp_path / "pretrained"
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    model = build_model("segformer-b0", 3, weights=folder).eval()
    save_weights(model, card_of("segformer-b0", model), tmp_path / "model.safetensors")
    loaded, _ = load_weights(tmp_path)
    images = torch.rand(1, 3, 64, 64)
    assert torch.allclose(loaded(images), model(images), atol=1e-6)


def test_other_weights_files_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no such weights"):
        load_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_weights(tmp_path)


def test_how_classes_are_written_comes_back(tmp_path):
    looks = ClassLooks((7, 19, 40000), ("#0000ff", None, None), background=2)
    network = build_model("fpn-small", 3)
    card = replace(card_of("fpn-small", network), looks=looks)
    save_weights(network, card, tmp_path / "m.safetensors")
    assert load_weights(tmp_path / "m.safetensors")[1].looks == looks
