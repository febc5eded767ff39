"""A user's own network, by name."""

import pytest
import torch
from torch import nn

from equiseg.models import build_model, freeze_encoder, rebuild_model
from equiseg.models.own import OwnNetwork
from places import ROOT

EXAMPLE = f"{ROOT / 'examples/own_model.py'}:build"


@pytest.mark.parametrize("in_channels", [1, 3, 5])
def test_it_is_built_for_the_classes_and_channels(in_channels):
    model = build_model(EXAMPLE, 7, in_channels=in_channels).eval()
    assert model(torch.rand(2, in_channels, 32, 48)).shape == (2, 7, 8, 12)
    assert model.get_submodule(model.classifier_name).out_channels == 7


def test_it_is_rebuilt_with_the_same_weights():
    model = build_model(EXAMPLE, 7, in_channels=2).eval()
    again = rebuild_model(EXAMPLE, 7, model.configuration).eval()
    again.load_state_dict(model.state_dict())
    images = torch.rand(1, 2, 32, 32)
    assert torch.equal(model(images), again(images))


def two_heads(num_classes, in_channels):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Conv2d(in_channels, 8, 3, padding=1)
            self.first, self.second = (nn.Conv2d(8, num_classes, 1) for _ in range(2))

        def forward(self, images):
            return self.second(self.encoder(images))

    return Network()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Functions of a user's module, to be replaced by each test."""
    import sys
    from types import ModuleType

    module = ModuleType("their_networks")
    monkeypatch.setitem(sys.modules, "their_networks", module)
    return module


def test_layer_names_the_classifier(module):
    module.build = two_heads
    with pytest.raises(ValueError, match=r"(?s)cannot find the classifier.*name it with --model"):
        build_model("their_networks.build", 4)
    model = build_model("their_networks.build", 4, layer="second")
    assert model.classifier_name == "network.second"
    assert model.configuration == {"in_channels": 3, "layer": "second"}
    with pytest.raises(ValueError, match=r"model\.layer=|fits none|layer='third'"):
        build_model("their_networks.build", 4, layer="third")


def test_an_encoder_can_be_frozen_where_there_is_one(module):
    module.build = two_heads
    model = build_model("their_networks.build", 4, layer="second")
    freeze_encoder(model, 4)
    assert not any(p.requires_grad for p in model.encoder_parameters())
    with pytest.raises(ValueError, match="needs an encoder to freeze"):
        freeze_encoder(build_model(EXAMPLE, 4), 4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda num_classes, in_channels: "unet", r"must return a torch\.nn\.Module, got str"),
        (lambda num_classes: None, "failed: TypeError"),
    ],
)
def test_functions_that_build_no_network(module, build, message):
    module.build = build
    with pytest.raises(ValueError, match=rf"model\.name: their_networks\.build.*{message}"):
        build_model("their_networks.build", 4)


def test_results_that_are_no_logits_are_refused():
    class Wrong(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.head, self.change = nn.Conv2d(3, 4, 1), change

        def forward(self, images):
            return self.change(self.head(images))

    for change, message in (
        (lambda logits: {"out": logits}, "got dict"),
        (lambda logits: logits[:, :2], r"got shape \(1, 2, 8, 8\) for images of shape"),
        (lambda logits: logits.flatten(2), r"got shape \(1, 4, 64\)"),
    ):
        with pytest.raises(ValueError, match=message):
            OwnNetwork(Wrong(change), "mine.build", 4, 3)(torch.rand(1, 3, 8, 8))


def test_logits_larger_than_the_image_are_resized():
    network = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 1))
    assert OwnNetwork(network, "mine.build", 4, 3)(torch.rand(1, 3, 8, 8)).shape[2:] == (8, 8)


def test_options_of_other_networks():
    with pytest.raises(ValueError, match=r"weights must be None for .*let your function load"):
        build_model(EXAMPLE, 4, weights="resnet")
    with pytest.raises(ValueError, match="layer is for networks of your own"):
        build_model("fpn-small", 4, layer="head")


def test_a_missing_function_is_explained():
    with pytest.raises(ValueError, match=r"(?s)the network was built by gone\.build: start in"):
        rebuild_model("gone.build", 4, {"in_channels": 3, "layer": None})
