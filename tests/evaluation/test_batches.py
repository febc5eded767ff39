"""Images of one size are predicted together, in their order; other sizes and scans as they come."""

import torch

from equiseg.data.points.voxels import collate_points
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.data.synthetic.scans.dataset import RoomScans
from equiseg.evaluation.batches import EqualBatches

SIZES = [(4, 6), (4, 6), (4, 6), (5, 6), (4, 6), (4, 6)]


def samples():
    for number, size in enumerate(SIZES):
        yield torch.full((1, 3, *size), float(number)), torch.full((1, *size), number)


def test_consecutive_images_of_one_size_are_a_batch():
    found = [(images.shape, labels[:, 0, 0].tolist()) for images, labels in EqualBatches(samples())]
    assert found == [
        ((3, 3, 4, 6), [0, 1, 2]),
        ((1, 3, 5, 6), [3]),
        ((2, 3, 4, 6), [4, 5]),
    ]


def test_a_batch_has_a_limit_of_pixels_but_at_least_one_image():
    sizes = [len(labels) for _, labels in EqualBatches(samples(), most_pixels=2 * 24)]
    assert sizes == [2, 1, 1, 2]
    assert [len(labels) for _, labels in EqualBatches(samples(), most_pixels=1)] == [1] * 6


def test_it_can_be_repeated_and_passes_scans():
    data = RoomScans(ScansConfig(num_classes=8, points=1500), "val", 2)
    batches = [collate_points([data[index]], data.voxel_size) for index in range(2)]
    twice = EqualBatches(batches)
    for _ in range(2):
        passed = list(twice)
        assert [len(labels) for _, labels in passed] == [len(labels) for _, labels in batches]
        assert all(one[0] is other[0] for one, other in zip(passed, batches, strict=True))
