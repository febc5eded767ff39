"""MinkUNets: published sizes, the interface of all models, and kernel maps."""

import pytest
import torch
from torch import nn

from equiseg.models import SPARSE_MODELS, build_model, freeze_encoder, rebuild_model
from equiseg.models.sparse import MinkUNet34C, MinkUNetSmall, SparseTensor, VoxelSet
from equiseg.tap import FeatureTap

K = 5


def scan(seed=0, voxels=300, channels=3, batch=2):
    generator = torch.Generator().manual_seed(seed)
    places = (torch.rand(batch, 40, 12, 10, generator=generator) < 0.1).nonzero()
    places = places[torch.randperm(len(places), generator=generator)[:voxels]]
    return SparseTensor(places, torch.randn(voxels, channels, generator=generator))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return MinkUNetSmall(3, K)


def test_published_parameter_count():
    """Of Res16UNet34C; the layouts of the others are compared entry by entry in test_minkowski."""
    with torch.device("meta"):
        model = MinkUNet34C(3, 20)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(37.9, abs=0.05)


def test_features_of_res16unet34c():
    """96 channels in front of a Linear, found by the tap, in the order of the rows."""
    torch.manual_seed(0)
    model, x = MinkUNet34C(3, 200).eval(), scan(voxels=60)
    assert isinstance(model.get_submodule(model.classifier_name), nn.Linear)
    with FeatureTap(model, num_classes=200) as tap, torch.no_grad():
        logits = model(x)
        assert logits.shape == (60, 200) and tap.name == "classifier"
        assert tap.in_features == 96 and tap.features.shape == (60, 96)
        torch.testing.assert_close(model.classifier(tap.features), logits)


def test_order_of_rows_changes_nothing_else(small):
    x, order = scan(), torch.randperm(300)
    small.eval().double()
    try:
        with torch.no_grad():
            logits = small(x.replace(x.features.double()))
            again = small(SparseTensor(x.coordinates[order], x.features[order].double()))
    finally:
        small.float()
    torch.testing.assert_close(again, logits[order], rtol=1e-10, atol=1e-10)


def test_samples_do_not_see_each_other(small):
    x = scan()
    alone = x.coordinates[:, 0] == 1
    with torch.no_grad():
        logits = small.eval()(x)[alone]
        again = small(SparseTensor(x.coordinates[alone], x.features[alone]))
    torch.testing.assert_close(again, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("model", "maps"), [("minkunet-small", 9), ("minkunet-34c", 10)])
def test_maps_are_made_once(monkeypatch, model, maps):
    """Five maps of 3x3x3, one per stride, four of 2x2x2 for both directions, and the stem's."""
    found, find = [], VoxelSet._find
    monkeypatch.setattr(VoxelSet, "_find", lambda *args: found.append(args[1]) or find(*args))
    model, x = SPARSE_MODELS[model](3, K), scan(voxels=100)
    for _ in range(2):
        model(x).sum().backward()
    assert len(found) == maps


@pytest.mark.parametrize("voxels", [0, 1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_very_few_voxels_work(voxels, training):
    model, x = MinkUNetSmall(3, K).train(training), scan(voxels=voxels)
    logits = model(x)
    logits.sum().backward()
    assert logits.shape == (voxels, K) and logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_encoder_is_a_part_without_the_classifier(small):
    encoder = {id(p) for p in small.encoder_parameters()}
    assert encoder == {id(p) for p in small.encoder.parameters()}
    assert encoder < {id(p) for p in small.parameters()}
    assert not encoder & {id(p) for p in small.classifier.parameters()}


@pytest.mark.parametrize("stages", [0, 1, 2, 3, 4])
def test_first_stages_can_be_frozen(stages):
    model = MinkUNetSmall(3, K)
    freeze_encoder(model, stages)
    model(scan()).sum().backward()
    stem, *downs = [model.encoder.stem, *model.encoder.stages]
    learns = [any(p.grad is not None for p in part.parameters()) for part in (stem, *downs)]
    assert learns == [stages < 1, *(i >= stages for i in range(4))]


@pytest.mark.parametrize("name", SPARSE_MODELS)
def test_built_again_from_its_configuration(name):
    with torch.device("meta"):
        model = build_model(name, K, in_channels=7)
        again = rebuild_model(name, K, model.configuration)
    shapes = [{n: v.shape for n, v in m.state_dict().items()} for m in (model, again)]
    assert shapes[0] == shapes[1] and model.encoder.stem.conv.in_channels == 7


def test_it_learns_a_position():
    """The label, above or below, is not in the features of a single voxel."""
    torch.manual_seed(0)
    model, x = MinkUNetSmall(1, 2), scan(channels=1)
    x = x.replace(torch.ones(len(x), 1))
    labels = (x.coordinates[:, 1] > 20).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
