"""Evaluation scores and calibrates what is predicted, from one view or the mean of several."""

import numpy as np
import pytest
import torch
from torch import nn

from diagnoses import Stripes, TinyNetwork
from equiseg.data import CachedData, PointCard
from equiseg.data.points.folder import PointFolder
from equiseg.data.points.reading import ScanReading
from equiseg.data.points.voxels import collate_points
from equiseg.data.shared_arena import SharedArena
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.evaluation.config import EvaluationConfig, MeasureConfig
from equiseg.evaluation.image_inference import predict_logits, predict_voxels
from equiseg.evaluation.scan_inference import predict_scan_classes
from equiseg.evaluation.scoring import evaluate, evaluation_record
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics import CalibrationError, SegmentationScore

VIEWS = [EvaluationConfig(), EvaluationConfig(flip=True), EvaluationConfig(window=(16, 16))]


class OfVoxels(nn.Module):
    """A classifier of each voxel's own channels and place."""

    classifier_name = "head"

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(in_channels + 1, num_classes)

    def forward(self, x):
        return self.head(torch.cat([x.features, x.coordinates[:, 1:2] / 20], 1))


def assert_same(evaluation, score, calibration):
    assert torch.equal(evaluation.confusion_KK, score.confusion_KK)
    expected = calibration.compute()
    assert torch.equal(evaluation.calibration.counts_KM, expected.counts_KM)
    assert torch.equal(evaluation.calibration.correct_KM, expected.correct_KM)
    assert evaluation.calibration.ece == pytest.approx(expected.ece)
    assert evaluation.calibration.tail == pytest.approx(expected.tail, nan_ok=True)


@pytest.mark.parametrize("config", VIEWS)
@torch.no_grad()
def test_images_are_calibrated_as_they_are_predicted(config):
    data, network = Stripes(sizes=((24, 32), (20, 36))), TinyNetwork()
    network.classifier_name = "head"
    network.head.weight.mul_(20)  # sure enough to fill more than one bin
    groups = FrequencyGroups.from_counts(data.statistics.pixels_K)
    score, calibration = SegmentationScore(7), CalibrationError(7, groups=groups)
    for image, labels, _ in data.samples:
        logits = predict_logits(network, image[None] / 255, config)
        score.update(logits, labels[None])
        calibration.update(logits, labels[None])
    evaluation = evaluate(network, data, config, groups)
    assert (evaluation.calibration.counts_KM.sum(0) > 0).sum() > 3
    assert_same(evaluation, score, calibration)
    labelled = sum(int((sample.labels != 255).sum()) for sample in data.samples)
    assert int(evaluation.calibration.counts_KM.sum()) == labelled


@pytest.mark.parametrize("config", VIEWS[:2])
@torch.no_grad()
def test_points_are_calibrated_with_the_probabilities_of_their_voxels(config):
    data = RoomScans(ScansConfig(num_classes=8, points=1500), "val", 2)
    groups = FrequencyGroups.from_counts(torch.arange(8))
    model = OfVoxels(len(data.channels), 8).eval()
    score, calibration = SegmentationScore(8), CalibrationError(8, groups=groups)
    for index in range(len(data)):
        batch, labels = collate_points([data[index]], data.voxel_size)
        shares_VK = predict_voxels(model, batch, config, data.channels)
        score.update(shares_VK[batch.inverse_N], labels)
        calibration.update(shares_VK[batch.inverse_N].log(), labels)
    evaluation = evaluate(model, data, config, groups)
    labelled = sum(int((sample.labels != data.ignore_index).sum()) for sample in data)
    assert int(evaluation.calibration.counts_KM.sum()) == labelled
    assert_same(evaluation, score, calibration)


@torch.no_grad()
def test_votes_are_calibrated_with_the_mean_of_their_probabilities(tmp_path):
    rng = np.random.default_rng(0)
    xyz_N3 = rng.uniform(0, [30, 20, 4], (1500, 3))
    codes_N = rng.integers(0, 4, 1500) * (
        xyz_N3[:, 0] < 22
    )  # 0 is ignored, and the far end is all 0
    np.savez(tmp_path / "scan.npz", xyz=xyz_N3, rgb=rng.random((1500, 3)), labels=codes_N)
    card = PointCard(
        name="made",
        form="arrays",
        points="*.npz",
        splits={"val": ["scan"]},
        classes={1: "a", 2: "b", 3: "c"},
        ignore_values=[0],
        features=["rgb"],
        block=10.0,
        margin=2.0,
        root=str(tmp_path),
    )
    data = PointFolder(card, "val", tmp_path / "cache")
    groups = FrequencyGroups.from_counts(torch.arange(3))
    model = OfVoxels(len(data.channels), 3).eval()
    model.head.weight.mul_(5)
    config = EvaluationConfig(votes=3)
    ids_N, confidences_N = predict_scan_classes(model, data.scans[0], ScanReading.of(card), config)
    labels_N = torch.from_numpy(np.array(data.scans[0].labels_N))
    score, calibration = SegmentationScore(3), CalibrationError(3, groups=groups)
    score.update(ids_N, labels_N)
    calibration.update(ids_N, labels_N, confidences_N)
    evaluation = evaluate(model, data, config, groups)
    assert int(evaluation.calibration.counts_KM.sum()) == int((codes_N > 0).sum())
    assert_same(evaluation, score, calibration)
    once = evaluate(model, data, EvaluationConfig(), groups)
    assert not torch.equal(once.calibration.counts_KM, evaluation.calibration.counts_KM)


def test_the_rule_of_a_benchmark_leaves_out_classes_without_labels(tmp_path):
    rng = np.random.default_rng(0)
    xyz_N3 = rng.uniform(0, [10, 10, 4], (500, 3))
    np.savez(tmp_path / "scan.npz", xyz=xyz_N3, labels=rng.integers(0, 2, 500))
    card = PointCard(
        name="made",
        form="arrays",
        points="*.npz",
        splits={"val": ["scan"]},
        classes=["a", "b", "never"],
        root=str(tmp_path),
    )
    data = PointFolder(card, "val", tmp_path / "cache")
    model = OfVoxels(len(data.channels), 3).eval()
    torch.nn.init.zeros_(model.head.weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))  # "never" is predicted everywhere
    groups = FrequencyGroups.from_counts(torch.arange(3))
    usual = evaluation_record(evaluate(model, data, EvaluationConfig(), groups), None)
    assert (usual["num_iou"], usual["iou"][2]) == (3, 0)
    assert "means_over" not in usual
    data.labelled_only = True
    ruled = evaluation_record(evaluate(model, data, EvaluationConfig(), groups), None)
    assert (ruled["num_iou"], ruled["means_over"]) == (2, "labelled classes")
    assert np.isnan(ruled["iou"][2])
    assert ruled["iou"][:2] == usual["iou"][:2]
    assert CachedData(data, SharedArena(0)).spec.labelled_only


@pytest.mark.parametrize("config", VIEWS)
@torch.no_grad()
def test_scores_do_not_depend_on_what_else_is_measured(config):
    data, network = Stripes(sizes=((24, 32), (20, 36))), TinyNetwork()
    network.classifier_name = "head"
    groups = FrequencyGroups.from_counts(data.statistics.pixels_K)
    whole = evaluation_record(evaluate(network, data, config, groups), 0)
    passes = []
    network.register_forward_hook(lambda *_: passes.append(1))
    measures = MeasureConfig(collapse=False, calibration=False)
    found = evaluate(network, data, config, groups, measures=measures)
    record = evaluation_record(found, 0)
    assert found.collapse is None
    assert whole.keys() - record.keys() == {"calibration", "collapse", "ece"} | {
        f"{group}_ece" for group in ("head", "common", "tail")
    }
    np.testing.assert_equal(record, {name: whole[name] for name in record})
    if config == EvaluationConfig():
        assert len(passes) == len(data)  # of two sizes: one forward each
