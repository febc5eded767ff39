"""Scans predicted in blocks, on shifted grids and mirrored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from equiseg.data.point_card import PointCard
from equiseg.data.points.formats.ply import write_ply
from equiseg.data.points.formats.scans import Scan
from equiseg.data.points.reading import ScanReading
from equiseg.data.points.store.scan_store import ScanStore
from equiseg.data.points.voxels import VoxelBatch
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict_voxels
from equiseg.evaluation.scan_files import predict_scan_file
from equiseg.evaluation.scan_inference import predict_scan_classes
from equiseg.imbalance import FrequencyGroups
from equiseg.runs.weights import ModelCard

READING = ScanReading("ply", ("rgb",), 0.05, 2.0, 0.5, (0, 1, 2))


class OfFeatures(nn.Module):
    """Logits that are the features: a point's class is its strongest colour."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.voxels: list[int] = []

    def forward(self, x):
        self.voxels.append(len(x))
        return self.scale * x.features


@pytest.fixture
def scan(tmp_path) -> ScanStore:
    """Points farther apart than voxels are wide, their classes by colour, in a shuffled file."""
    rng = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(np.arange(50), np.arange(40), [0]), -1).reshape(-1, 3)
    xyz_N3 = rng.permutation(cells) * 0.1 + 0.05
    rgb_N3 = rng.integers(0, 255, xyz_N3.shape, dtype=np.uint8)
    write_ply(tmp_path / "scan.ply", xyz_N3, rgb_N3=rgb_N3)
    card = PointCard(
        name="c",
        form="ply",
        points="*.ply",
        splits={"all": ""},
        classes=["a", "b", "c"],
        features=["rgb"],
        block=2.0,
        root=str(tmp_path),
    )
    return ScanStore.open(card, Scan("scan", tmp_path / "scan.ply"), tmp_path / "cache")


@pytest.mark.parametrize("votes", [1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_every_point_has_its_own_class(scan, votes, flip):
    model = OfFeatures()
    config = EvaluationConfig(votes=votes, flip=flip)
    ids_N, _ = predict_scan_classes(model, scan, READING, config)
    assert ids_N.tolist() == scan.features_NC.argmax(1).tolist()
    # 5 m x 4 m in blocks of 2 m; shifted by 0.5, 1 and 1.5 m, more of them are needed.
    blocks = 3 * 2 + (4 * 3 + 3 * 3 + 3 * 3 if votes == 4 else 0)
    assert len(model.voxels) == (1 + flip) * blocks


@pytest.mark.parametrize("votes", [1, 4])
def test_probabilities_are_the_mean_of_the_votes(scan, votes):
    class Unsure(OfFeatures):
        """Flatter with every vote: the grids take 6, 12, 9 and 9 blocks."""

        def forward(self, x):
            logits = super().forward(x)
            return logits / (1 + sum(len(self.voxels) > seen for seen in (6, 18, 27)))

    ids_N, confidences_N = predict_scan_classes(
        Unsure(), scan, READING, EvaluationConfig(votes=votes)
    )
    logits_NK = 5 * torch.from_numpy(np.array(scan.features_NC)).float()
    mean_NK = sum((logits_NK / vote).softmax(1) for vote in range(1, votes + 1)) / votes
    assert ids_N.tolist() == mean_NK.argmax(1).tolist()
    torch.testing.assert_close(confidences_N, mean_NK.max(1).values)


def test_blocks_are_seen_with_their_margin(scan):
    model = OfFeatures()
    predict_scan_classes(model, scan, READING, EvaluationConfig())
    # The block in the middle: 2 m and 0.5 m on either side in x, and on one side in y.
    assert max(model.voxels) == 30 * 25
    assert sum(model.voxels) > len(scan)


def test_a_whole_scan_is_one_window(scan):
    model = OfFeatures()
    whole = replace(READING, block=None, margin=0.0)
    predict_scan_classes(model, scan, whole, EvaluationConfig())
    assert model.voxels == [len(scan)]


def batch(features_VC: torch.Tensor) -> VoxelBatch:
    coordinates = torch.tensor([[0, 0, 0, 0], [0, 3, 1, 0], [0, -2, 5, 1]], dtype=torch.int32)
    return VoxelBatch(coordinates, features_VC, torch.arange(3), torch.tensor([0, 3]))


def test_mirrored_voxels_are_averaged_with_the_plain_ones():
    class OfPlaces(nn.Module):
        def forward(self, x):
            return x.coordinates[:, 1:3].float()

    plain_V = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-2.0, 5.0]])
    mirrored_V = torch.tensor([[-1.0, 0.0], [-4.0, 1.0], [1.0, 5.0]])
    expected = (plain_V.softmax(1) + mirrored_V.softmax(1)) / 2
    given = batch(torch.zeros(3, 1))
    config = EvaluationConfig(flip=True)
    torch.testing.assert_close(predict_voxels(OfPlaces(), given, config, ("one",)), expected)
    assert given.coordinates_V4[1].tolist() == [0, 3, 1, 0]  # left as it was


def test_normals_turn_with_the_mirror():
    class OfNormals(nn.Module):
        def forward(self, x):
            return x.features

    normals_V = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    channels = ("normal_x", "normal_y", "normal_z")
    config = EvaluationConfig(flip=True)
    turned = normals_V * torch.tensor([-1.0, 1.0, 1.0])
    expected = (normals_V.softmax(1) + turned.softmax(1)) / 2
    given = batch(normals_V)
    torch.testing.assert_close(predict_voxels(OfNormals(), given, config, channels), expected)


def test_more_than_255_classes_are_written_in_the_order_of_the_file(tmp_path):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.arange(300.0))

        def forward(self, x):
            return self.bias.expand(len(x), -1)

    xyz_N3 = np.random.default_rng(0).uniform(0, 3, (100, 3))
    write_ply(tmp_path / "scan.ply", xyz_N3)
    groups = FrequencyGroups.from_counts([1] * 300)
    reading = ScanReading("ply", (), 0.1, 1.0, 0.0, tuple(range(300)))
    names = tuple(map(str, range(300)))
    card = ModelCard("m", names, ignore_index=999, size=None, groups=groups, scans=reading)
    given = card, tmp_path / "scan.ply", EvaluationConfig(), tmp_path / "cache"
    read_N3, ids_N, _ = predict_scan_file(Last(), *given)
    np.testing.assert_allclose(read_N3, xyz_N3, atol=1e-6)
    assert set(ids_N) == {299}
