"""Crops: the right points in their order, never too many, never none."""

import math

import pytest
import torch

from equiseg.data.points.crops import block_crop, sphere_crop
from equiseg.data.points.sample import PointSample


def scan(num_points=500):
    """The label of a point is its number, and so is its feature."""
    generator = torch.Generator().manual_seed(0)
    xyz_N3 = torch.rand(num_points, 3, generator=generator) * 10 - 5
    number_N = torch.arange(num_points)
    return PointSample(xyz_N3, number_N.float().unsqueeze(1), number_N, "scan")


def far_sphere(point, center):
    return math.dist(point, center)


def far_block(point, center):
    return max(abs(p - c) for p, c in zip(point[:2], center[:2], strict=True))


CROPS = [
    (lambda sample, center_3, reach, **kw: sphere_crop(sample, center_3, reach, **kw), far_sphere),
    (
        lambda sample, center_3, reach, **kw: block_crop(sample, center_3, 2 * reach, **kw),
        far_block,
    ),
]


@pytest.mark.parametrize(("crop", "far"), CROPS)
@pytest.mark.parametrize("reach", [0.8, 3.0, 50.0])
@pytest.mark.parametrize("most", [None, 1, 7, 500, 10_000])
def test_a_crop_equals_a_plain_loop(crop, far, reach, most):
    sample, center_3 = scan(), torch.tensor([1.0, -2.0, 0.5])
    distances = [far(point, center_3.tolist()) for point in sample.xyz_N3.tolist()]
    inside = [row for row in range(500) if distances[row] <= reach]
    nearest = sorted(inside, key=lambda row: distances[row])[:most]
    cropped = crop(sample, center_3, reach, most=most)
    assert cropped.labels_N.tolist() == sorted(nearest)
    assert torch.equal(cropped.xyz_N3, sample.xyz_N3[cropped.labels_N])
    assert torch.equal(cropped.features_NC, sample.features_NC[cropped.labels_N])
    assert cropped.name == "scan"


@pytest.mark.parametrize(("crop", "far"), CROPS)
def test_far_from_all_points_the_nearest_is_kept(crop, far):
    sample, center_3 = scan(), torch.tensor([100.0, 100.0, 0.0])
    distances = [far(point, center_3.tolist()) for point in sample.xyz_N3.tolist()]
    assert crop(sample, center_3, 0.5).labels_N.tolist() == [distances.index(min(distances))]


@pytest.mark.parametrize(("crop", "far"), CROPS)
def test_at_equal_distance_the_first_points_are_kept(crop, far):
    xyz_N3 = torch.tensor([[2.0, 0, 0], [1, 0, 0], [-2, 0, 0], [0, 2, 0], [0, 0, 0]])
    sample = PointSample(xyz_N3, torch.zeros(5, 1), torch.arange(5), "ties")
    assert crop(sample, torch.zeros(3), 9.0, most=3).labels_N.tolist() == [0, 1, 4]
    same = PointSample(torch.zeros(5, 3), torch.zeros(5, 1), torch.arange(5), "one place")
    assert crop(same, torch.zeros(3), 9.0, most=2).labels_N.tolist() == [0, 1]


def test_without_a_radius_only_the_number_limits_the_crop():
    sample = scan()
    assert torch.equal(sphere_crop(sample, torch.zeros(3)).labels_N, sample.labels_N)
    distance_N = sample.xyz_N3.square().sum(1)
    nearest = distance_N.argsort()[:40].sort().values
    assert torch.equal(sphere_crop(sample, torch.zeros(3), most=40).labels_N, nearest)


def test_sizes_without_points_are_refused():
    with pytest.raises(ValueError, match=r"radius must be above 0 m, got -1\.0"):
        sphere_crop(scan(), torch.zeros(3), -1.0)
    with pytest.raises(ValueError, match=r"side must be above 0 m, got 0"):
        block_crop(scan(), torch.zeros(3), 0)
    with pytest.raises(ValueError, match="most must be at least 1, got 0; None keeps all"):
        block_crop(scan(), torch.zeros(3), 5.0, most=0)
    with pytest.raises(ValueError, match="sample 'scan' has no points to crop"):
        sphere_crop(scan(0), torch.zeros(3), 1.0)
