"""Pretrained weights in the form of the hub: loaded parameters and random ones."""

import logging
from dataclasses import replace

import pytest
import torch

from equiseg.models.architectures import ARCHITECTURES
from equiseg.models.build import build_model
from equiseg.models.huggingface import build_huggingface

transformers = pytest.importorskip("transformers", reason="extra models")

K = 7
SEGFORMER = replace(
    ARCHITECTURES["segformer-b0"],
    sizes={"hidden_sizes": [8, 16, 20, 32], "depths": [1, 1, 1, 1]},
    defaults={"decoder_hidden_size": 16},
)
SWIN = replace(
    ARCHITECTURES["upernet-swin-t"],
    sizes={"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2]},
    settings={"use_auxiliary_head": False, "hidden_size": 16},
)
CONVNEXT = replace(
    ARCHITECTURES["upernet-convnext-t"],
    sizes={"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]},
    settings={"use_auxiliary_head": False, "hidden_size": 16},
)


def segformer_folder(folder, kind="SegformerForSemanticSegmentation", **options):
    config = transformers.SegformerConfig(
        num_labels=K, **SEGFORMER.sizes, **SEGFORMER.defaults, **options
    )
    network = getattr(transformers, kind)(config).eval()
    network.save_pretrained(folder)
    return network


def test_same_classes_give_the_same_network(tmp_path):
    original = segformer_folder(tmp_path)
    model = build_huggingface(SEGFORMER, K, tmp_path).eval()
    assert model.newly_initialised == ()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = original((images - model.mean) / model.std).logits
        torch.testing.assert_close(model(images), expected)


def test_other_classes_start_a_new_classifier_with_a_warning(tmp_path, caplog):
    original = segformer_folder(tmp_path)
    with caplog.at_level(logging.WARNING, logger="equiseg"):
        model = build_huggingface(SEGFORMER, 3, str(tmp_path))
    new = {"decode_head.classifier.weight", "decode_head.classifier.bias"}
    assert set(model.newly_initialised) == new
    assert all(name in caplog.text for name in new)
    for name, value in original.state_dict().items():
        if name not in new:
            torch.testing.assert_close(model.network.state_dict()[name], value)


def test_an_encoder_of_the_same_family_is_loaded(tmp_path):
    original = segformer_folder(tmp_path, "SegformerForImageClassification")
    model = build_huggingface(SEGFORMER, K, tmp_path)
    assert model.newly_initialised
    assert all(name.startswith("decode_head.") for name in model.newly_initialised)
    for name, value in original.segformer.state_dict().items():
        torch.testing.assert_close(model.encoder.state_dict()[name], value)


@pytest.mark.parametrize(("architecture", "family"), [(SWIN, "Swin"), (CONVNEXT, "ConvNext")])
def test_upernet_on_a_pretrained_backbone(architecture, family, tmp_path):
    config = getattr(transformers, f"{family}Config")(**architecture.sizes)
    original = getattr(transformers, f"{family}ForImageClassification")(config)
    original.save_pretrained(tmp_path)
    model = build_huggingface(architecture, K, tmp_path)
    theirs = dict(original.named_parameters())
    covered = [n for n, _ in model.network.named_parameters() if n not in model.newly_initialised]
    assert all(name.startswith("backbone.") for name in covered)
    assert len(covered) > 40
    for name in covered:
        own = name.removeprefix("backbone.")
        # ConvNext's backbone leaves out the name of the base model.
        value = theirs[own] if own in theirs else theirs[f"convnext.{own}"]
        torch.testing.assert_close(model.network.get_parameter(name), value)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, K, 16, 16)


def test_upernet_ignores_a_stored_auxiliary_head(tmp_path):
    backbone = transformers.SwinConfig(
        **SWIN.sizes, out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    config = transformers.UperNetConfig(backbone_config=backbone, hidden_size=16, num_labels=K)
    transformers.UperNetForSemanticSegmentation(config).save_pretrained(tmp_path)
    model = build_huggingface(SWIN, K, tmp_path)
    assert model.newly_initialised == ()
    assert not [name for name in model.state_dict() if "auxiliary" in name]


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'"):
        build_model("segformer-b0", K, weights="./nowhere")


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(FileNotFoundError, match="weights must be a folder"):
        build_model("segformer-b0", K, weights=file)


def test_folder_without_safetensors(tmp_path):
    network = segformer_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"could not be read(.|\n)*model\.safetensors"):
        build_huggingface(SEGFORMER, K, tmp_path)


def test_folder_without_a_configuration(tmp_path):
    with pytest.raises(OSError, match=r"Give a folder with config\.json"):
        build_huggingface(SEGFORMER, K, tmp_path)


def test_an_unreachable_hub_is_explained(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="'nobody/nothing' could not be read"):
        build_model("segformer-b0", K, weights="nobody/nothing")


def test_weights_of_another_size_name_the_fitting_model(tmp_path):
    sizes = ARCHITECTURES["segformer-b1"].sizes
    transformers.SegformerConfig(**sizes).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"have hidden_sizes \[64.*build 'segformer-b1'"):
        build_model("segformer-b0", K, weights=tmp_path)


def test_weights_of_another_family_name_the_fitting_model(tmp_path):
    transformers.ConvNextConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"family 'convnext'.*'swin'; build 'upernet-convnext-t'"):
        build_model("upernet-swin-t", K, weights=tmp_path)


def test_weights_without_known_names_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    segformer_folder(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file({f"foreign.{k}": v for k, v in load_file(file).items()}, file, {"format": "pt"})
    with pytest.raises(ValueError, match="hold no parameter of the encoder"):
        build_huggingface(SEGFORMER, K, tmp_path)
