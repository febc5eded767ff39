import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from equiseg.foreign_files import FileError
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


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = build_model("fpn-small", 3)
    save_weights(model, card_of("fpn-small", model), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def rewritten(path: Path, **changes: object) -> None:
    """The same weights with another description."""
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["equiseg"]) | changes
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata={"equiseg": json.dumps(values)})


@pytest.mark.parametrize(
    "changes",
    [
        {"model": 3},
        {"model": "fpn-large"},
        {"classes": "abc"},
        {"classes": ["a", "b"]},
        {"classes": ["a", "b", 3]},
        {"ignore_index": "x"},
        {"size": [1]},
        {"size": [0, -1]},
        {"groups": {"head": [0]}},
        {"groups": {"head": [0], "common": [1], "tail": [9]}},
        {"groups": None},
        {"configuration": [1]},
        {"configuration": {"in_channels": 10**12}},
        {"scans": {"form": "las"}},
    ],
)
def test_a_changed_description_is_named(changes: dict, saved: Path):
    rewritten(saved, **changes)
    with pytest.raises(FileError, match=r"model\.safetensors: "):
        load_weights(saved)


def test_cut_and_tampered_files_are_named(saved: Path):
    content = saved.read_bytes()
    for damaged in (
        b"",
        content[:5],
        content[: len(content) // 2],
        content[:-1],
        b"\xff" * 8 + content[8:],
        content.replace(b'"F32"', b'"F99"', 1),
        content.replace(b'\\"model\\"', b'\\"madel\\"', 1),
    ):
        saved.write_bytes(damaged)
        with pytest.raises(FileError, match=r"model\.safetensors: "):
            load_weights(saved)


def test_tensors_of_another_network_are_named(saved: Path):
    tensors = {name: value.clone() for name, value in load_file(saved).items()}
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    first = next(name for name, value in tensors.items() if value.is_floating_point())
    for changed, told in (
        ({name: value for name, value in tensors.items() if name != first}, "lacks the weights"),
        (tensors | {"stray": torch.ones(1)}, "unknown weights stray"),
        (tensors | {first: torch.ones(7)}, r"must have shape .* got \(7,\)"),
        (tensors | {first: tensors[first].long()}, "int64"),
        (tensors | {first: torch.full_like(tensors[first], math.nan)}, "NaN or infinite"),
    ):
        save_file(changed, saved, metadata=metadata)
        with pytest.raises(FileError, match=told):
            load_weights(saved)


def test_weights_are_as_readable_as_other_files_and_never_without_numbers(saved: Path):
    other = saved.with_name("other.txt")
    other.write_text("")
    assert saved.stat().st_mode == other.stat().st_mode
    before = saved.read_bytes()
    model = build_model("fpn-small", 3)
    model.classifier.bias.data.fill_(math.nan)
    with pytest.raises(ValueError, match="bias are NaN or infinite; nothing was saved"):
        save_weights(model, card_of("fpn-small", model), saved)
    assert saved.read_bytes() == before
