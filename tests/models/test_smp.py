"""Networks of segmentation_models_pytorch, where it is installed."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from equiseg.models.build import build_model
from equiseg.models.smp import ARCHITECTURES

K = 7


@pytest.fixture(scope="module")
def smp():
    """The library; if torchvision does not load with this torch, with empty op schemas.

    A torchvision built for another torch fails because its operators are not registered. None of
    them runs in these networks, so names without a body are enough for a test.
    """
    library = "segmentation_models_pytorch"
    if importlib.util.find_spec(library) is None:
        pytest.skip("segmentation_models_pytorch is not installed (extra smp)")
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        folder = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0])
        source = (folder / "_meta_registrations.py").read_text()
        operators = set(re.findall(r'register_meta\("(\w+)"\)|"torchvision::(\w+)"', source))
        schemas = torch.library.Library("torchvision", "DEF")
        for operator in {first or second for first, second in operators}:
            schemas.define(f"{operator}() -> Tensor")
        yield importlib.import_module(library)
        schemas._destroy()
        return
    yield pytest.importorskip(library)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_contract(smp, architecture):
    model = build_model(f"smp/{architecture}/resnet18", K)
    classifier = model.get_submodule(model.classifier_name)
    assert isinstance(classifier, torch.nn.Conv2d) and classifier.out_channels == K
    assert len(list(model.encoder_parameters())) > 50
    images = torch.rand(2, 3, 33, 47)
    with torch.no_grad():
        logits = model.eval()(images)
        even = model(torch.rand(2, 3, 64, 96))
    assert logits.shape[:2] == (2, K)
    assert logits.shape[2] <= 33 and logits.shape[3] <= 47
    assert even.shape[2:] == ((64, 96) if architecture == "unet" else (16, 24))
    model.train()(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name


def test_an_unknown_encoder_suggests_similar_ones(smp):
    with pytest.raises(ValueError, match=r"got 'resnet19'; did you mean .*'resnet18'"):
        build_model("smp/fpn/resnet19", K)


def test_weights_that_cannot_be_downloaded_are_named(smp, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"'imagenet' of 'resnet18' could not be downloaded"):
        build_model("smp/fpn/resnet18", K, weights="imagenet")


def test_unknown_architecture(smp):
    with pytest.raises(
        ValueError, match=r"architectures deeplabv3plus, .*, got 'smp/pan/resnet18'"
    ):
        build_model("smp/pan/resnet18", K)


def test_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ImportError, match=r"equiseg\[smp\]"):
        build_model("smp/fpn/resnet18", K)
