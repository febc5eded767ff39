"""Label sides that the data workers make for the center losses of a training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import equiseg.centers.centers
from equiseg.data.config import DataConfig
from equiseg.data.loading import collate_images
from equiseg.data.points.sample import PointSample
from equiseg.data.sample import DataSpec
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.evaluation.inputs import PointCollate, inverse_of
from equiseg.imbalance import ClassStatistics
from equiseg.tap import FeatureTap
from equiseg.training.criterion import build_criterion
from equiseg.training.run import train
from equiseg.training.sided_batches import MapSizes, SidedCollate, map_sizes
from runs import tiny_config

K, C = 5, 7
TWO_CONVENTIONS = "cross_entropy + center_collapse + published_center_collapse(weight=0.8)"


def pictures():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, K, (4, 16, 16), generator=generator)
    labels[:, :3] = 255
    return [(torch.rand(3, 16, 16, generator=generator), sample) for sample in labels]


def scans():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, K, (2, 40), generator=generator)
    xyz = torch.rand(2, 40, 3, generator=generator)
    parts = zip(xyz, labels, strict=True)
    return [PointSample(where, torch.ones(40, 1), what, "scan") for where, what in parts]


def refuse(*_):
    raise AssertionError("the labels were transposed beside the network")


@pytest.mark.parametrize("method", ["ceco", "ceco_published", TWO_CONVENTIONS])
def test_sides_of_the_workers_replace_the_work_of_the_loss(method, monkeypatch):
    inputs, labels = collate_images(pictures())
    statistics = ClassStatistics.from_labels(labels, K)
    criterion = build_criterion(method, statistics, C, 255)
    torch.manual_seed(1)
    features, classifier = torch.randn(4, C, 8, 8, requires_grad=True), nn.Conv2d(C, K, 1)
    collate = SidedCollate(
        collate_images, K, 255, criterion.side_conventions, MapSizes((8, 8), (16, 16))
    )
    batch = collate(pictures())
    assert torch.equal(batch.inputs, inputs)
    assert [side.align_corners for side in batch.sides] == criterion.side_conventions
    logits = classifier(features)
    torch.manual_seed(2)  # the published branch has dropout
    expected = criterion(logits, features, labels)
    monkeypatch.setattr(equiseg.centers.centers, "transpose_labels", refuse)
    torch.manual_seed(2)
    found = criterion(logits, features, labels, None, batch.sides)
    assert found == expected


def test_sides_of_voxels_serve_every_convention(monkeypatch):
    spec = DataSpec(tuple("abcde"), 255, channels=("one",), voxel_size=0.3)
    points = PointCollate(spec, "points")
    inputs, labels_N = points(scans())
    criterion = build_criterion(TWO_CONVENTIONS, ClassStatistics.from_labels(labels_N, K), C, 255)
    torch.manual_seed(1)
    features_VC, classifier = torch.randn(len(inputs.features_VC), C), nn.Linear(C, K)
    batch = SidedCollate(points, K, 255, criterion.side_conventions, MapSizes((), ()))(scans())
    assert len(batch.sides) == 1
    logits_VK = classifier(features_VC)
    given = logits_VK, features_VC, labels_N, inverse_of(inputs)
    torch.manual_seed(2)
    expected = criterion(*given)
    monkeypatch.setattr(equiseg.centers.centers, "count_in_voxels", refuse)
    torch.manual_seed(2)
    assert criterion(*given, batch.sides) == expected


def test_labels_of_another_size_have_no_side():
    collate = SidedCollate(collate_images, K, 255, [False], MapSizes((8, 8), (32, 32)))
    assert collate(pictures()).sides == ()


def test_sizes_are_found_without_a_trace():
    model = nn.Sequential(
        nn.Conv2d(3, C, 3, 2, 1), nn.BatchNorm2d(C), nn.Dropout(), nn.Conv2d(C, K, 1)
    )
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    inputs, labels = collate_images(pictures())
    assert map_sizes(model, FeatureTap(model, layer="3"), inputs, labels) == MapSizes(
        (8, 8), (16, 16)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model] == [True, False, True, True]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


PICTURES = tiny_config().data
SCANS = DataConfig(
    card="scans",
    synthetic=SyntheticConfig(scans=ScansConfig(num_classes=8, points=1500), num_samples=(8, 2, 2)),
)


@pytest.mark.parametrize("data", [PICTURES, SCANS], ids=["pictures", "scans"])
def test_workers_make_them_and_the_run_equals_one_without_workers(
    data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tiny_config(data=data, method=TWO_CONVENTIONS, log_collapse=False)
    train(config, tmp_path / "alone")
    workers = replace(config.data, num_workers=2)
    for name in ("transpose_labels", "count_in_voxels"):
        monkeypatch.setattr(equiseg.centers.centers, name, refuse)
    train(replace(config, data=workers), tmp_path / "workers")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("alone", "workers")]
    for name, value in weights[0].items():
        assert torch.equal(weights[1][name], value), name
