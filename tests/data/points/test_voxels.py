"""Voxels: against plain Python, in any order of the points, exact to the last bit."""

import itertools
import math
from collections import Counter, defaultdict
from fractions import Fraction

import pytest
import torch

from equiseg.data.points.sample import PointSample
from equiseg.data.points.voxels import (
    collate_points,
    interpolate_voxels,
    majority_labels,
    points_from_voxels,
    voxel_means,
    voxelize,
)

IGNORE = 255


def cloud(num_points=400, seed=0, extent=1.0):
    """Points on both sides of the origin, a third of them exactly on a border of voxels."""
    generator = torch.Generator().manual_seed(seed)
    xyz_N3 = (torch.rand(num_points, 3, generator=generator) - 0.5) * 2 * extent
    third = num_points // 3
    xyz_N3[:third] = torch.randint(-4, 5, (third, 3), generator=generator) * 0.25
    return xyz_N3


def plain_cells(xyz_N3, size, origin=(0, 0, 0)):
    return [
        tuple(math.floor((x - o) / size) for x, o in zip(row, origin, strict=True))
        for row in xyz_N3.tolist()
    ]


@pytest.mark.parametrize("size", [0.25, 0.1, 3.0])
@pytest.mark.parametrize("origin", [None, (0.5, -100.25, 7.0)])
def test_voxels_equal_a_plain_loop(size, origin):
    xyz_N3 = cloud()
    voxels = voxelize(xyz_N3, size, origin_3=None if origin is None else torch.tensor(origin))
    cells = plain_cells(xyz_N3, size, origin or (0, 0, 0))
    counts = Counter(cells)
    assert voxels.coordinates_V3.tolist() == [list(cell) for cell in sorted(counts)]
    assert voxels.counts_V.tolist() == [counts[cell] for cell in sorted(counts)]
    assert [tuple(row) for row in voxels.coordinates_V3[voxels.inverse_N].tolist()] == cells
    assert [tensor.dtype for tensor in voxels] == [torch.int32, torch.int64, torch.int64]


def test_zero_has_one_sign_and_negative_places_round_down():
    xyz_N3 = torch.tensor([[0.0, -0.0, 0.01], [-0.01, 0.0, -0.0], [-1.0, 0.99, 1.0]])
    voxels = voxelize(xyz_N3, 1.0)
    assert voxels.coordinates_V3.tolist() == [[-1, 0, 0], [-1, 0, 1], [0, 0, 0]]
    assert voxels.inverse_N.tolist() == [2, 0, 1]


def test_division_does_not_lose_the_voxel():
    """Thousands of voxels out, float32 quotients fall on the wrong side of the border."""
    generator = torch.Generator().manual_seed(0)
    xyz_N3 = torch.rand(3000, 3, generator=generator) * 2000
    assert plain_cells(xyz_N3, 0.02) != (xyz_N3 / 0.02).floor().int().tolist()
    voxels = voxelize(xyz_N3, 0.02)
    cells = voxels.coordinates_V3[voxels.inverse_N].tolist()
    assert [tuple(cell) for cell in cells] == plain_cells(xyz_N3, 0.02)


def test_the_order_of_the_points_changes_only_the_inverse():
    xyz_N3, values_NC = cloud(3000), torch.randn(3000, 4)
    labels_N = torch.randint(0, 5, (3000,))
    order_N = torch.randperm(3000)
    one, two = voxelize(xyz_N3, 0.3), voxelize(xyz_N3[order_N], 0.3)
    assert torch.equal(one.coordinates_V3, two.coordinates_V3)
    assert torch.equal(one.counts_V, two.counts_V)
    assert torch.equal(one.inverse_N[order_N], two.inverse_N)
    assert torch.equal(voxel_means(values_NC, one), voxel_means(values_NC[order_N], two))
    assert torch.equal(
        majority_labels(labels_N, one, 5, IGNORE),
        majority_labels(labels_N[order_N], two, 5, IGNORE),
    )


@pytest.mark.parametrize(
    ("xyz", "size", "message"),
    [
        ([[0.0, 0, math.nan]], 0.1, r"xyz_N3 must be finite and within 2\^31 voxels of 0\.1 m"),
        ([[0.0, math.inf, 0]], 0.1, r"got a point inf voxels away; subtract an origin"),
        ([[-3e9, 0, 0]], 1.0, r"got a point 3e\+09 voxels away"),
        (
            [[-2e9, -2e9, 0], [2e9, 2e9, 4]],
            1.0,
            r"span a box of fewer than 2\^63, got \[4000000001",
        ),
        ([[0.0, 0, 0]], 0.0, r"size must be the side of a voxel in meters, above 0, got 0\.0"),
        ([[0.0, 0]], 1.0, r"xyz_N3 must be \(N, 3\), got \(1, 2\)"),
        (torch.empty(0, 3).tolist(), 1.0, r"xyz_N3 holds no points; leave empty scans out"),
    ],
)
def test_invalid_coordinates_are_refused(xyz, size, message):
    with pytest.raises(ValueError, match=message):
        voxelize(torch.tensor(xyz, dtype=torch.float64), size)


def test_the_furthest_voxels_are_right():
    xyz_N3 = torch.tensor([[2.0**31 - 1, 0, 1], [1.0 - 2**31, 0, 1]], dtype=torch.float64)
    assert voxelize(xyz_N3, 1.0).coordinates_V3.tolist() == [
        [1 - 2**31, 0, 1],
        [2**31 - 1, 0, 1],
    ]


def test_means_are_exact():
    xyz_N3, values_NC = cloud(), torch.randn(400, 3) * 100
    voxels = voxelize(xyz_N3, 0.5)
    means_VC = voxel_means(values_NC, voxels)
    members = defaultdict(list)
    for voxel, row in zip(voxels.inverse_N.tolist(), values_NC.tolist(), strict=True):
        members[voxel].append(row)
    exact = [
        [
            float(sum(map(Fraction, column)) / len(column))
            for column in zip(*members[v], strict=True)
        ]
        for v in range(len(means_VC))
    ]
    assert torch.equal(means_VC, torch.tensor(exact, dtype=torch.float64).float())
    assert means_VC.dtype == torch.float32


def test_a_voxel_of_a_million_points_has_the_right_mean():
    values_NC = torch.full((1_000_000, 1), 0.1)
    voxels = voxelize(torch.zeros(1_000_000, 3), 1.0)
    assert torch.equal(voxel_means(values_NC, voxels), torch.tensor([[0.1]]))


def test_means_and_their_way_back_have_gradients():
    xyz_N3 = cloud(20)
    voxels = voxelize(xyz_N3, 1.0)
    values_NC = torch.randn(20, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values_NC: points_from_voxels(voxel_means(values_NC, voxels), voxels), values_NC
    )


def test_means_of_integers_and_of_other_points_are_refused():
    voxels = voxelize(cloud(20), 1.0)
    with pytest.raises(TypeError, match=r"values_NC must be floating point, got torch\.uint8"):
        voxel_means(torch.zeros(20, 3, dtype=torch.uint8), voxels)
    with pytest.raises(ValueError, match="one row for each of the 20 it belongs to, got 21"):
        voxel_means(torch.zeros(21, 3), voxels)
    with pytest.raises(ValueError, match="labels_N must have one row for each of the 20"):
        majority_labels(torch.zeros(19, dtype=torch.int64), voxels, 3, IGNORE)


@pytest.mark.parametrize("ignore_index", [IGNORE, -1, 70000])
def test_the_majority_equals_a_plain_count(ignore_index):
    voxels = voxelize(cloud(600), 0.5)
    generator = torch.Generator().manual_seed(1)
    labels_N = torch.randint(0, 4, (600,), generator=generator)
    labels_N[torch.rand(600, generator=generator) < 0.4] = ignore_index
    labels_N[voxels.inverse_N == 3] = ignore_index
    votes = defaultdict(Counter)
    for voxel, label in zip(voxels.inverse_N.tolist(), labels_N.tolist(), strict=True):
        if label != ignore_index:
            votes[voxel][label] += 1
    expected = [
        min(votes[v], key=lambda k: (-votes[v][k], k)) if votes[v] else ignore_index
        for v in range(len(voxels.counts_V))
    ]
    assert any(len(set(votes[v].values())) < len(votes[v]) for v in votes)  # there are ties
    assert majority_labels(labels_N, voxels, 4, ignore_index).tolist() == expected
    assert expected[3] == ignore_index


def test_the_majority_of_8_bit_labels_and_of_none():
    voxels = voxelize(torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 0], [5, 0, 0]]), 1.0)
    labels_N = torch.tensor([249, 249, 3, IGNORE], dtype=torch.uint8)
    majority_V = majority_labels(labels_N, voxels, 250, IGNORE)
    assert majority_V.tolist() == [249, IGNORE]
    assert majority_V.dtype == torch.int64
    nothing = majority_labels(torch.full_like(labels_N, IGNORE), voxels, 250, IGNORE)
    assert nothing.tolist() == [IGNORE, IGNORE]
    with pytest.raises(ValueError, match=r"labels must be class ids 0\.\.99 or ignore_index=255"):
        majority_labels(labels_N, voxels, 100, IGNORE)


def plain_interpolation(features, coordinates, point, size):
    """Sum over all voxels with hat weights, divided by their sum."""
    total, weight = torch.zeros(features.shape[1], dtype=torch.float64), 0.0
    for row, cell in zip(features.double(), coordinates.tolist(), strict=True):
        near = [max(0.0, 1 - abs(p / size - (c + 0.5))) for p, c in zip(point, cell, strict=True)]
        total, weight = total + math.prod(near) * row, weight + math.prod(near)
    return total / weight


def test_interpolation_is_the_sum_over_voxels():
    xyz_N3 = cloud(120)
    voxels = voxelize(xyz_N3, 0.25)
    features_VC = torch.randn(len(voxels.counts_V), 3)
    expected = [
        plain_interpolation(features_VC, voxels.coordinates_V3, point, 0.25)
        for point in xyz_N3.tolist()
    ]
    found_NC = interpolate_voxels(features_VC, voxels.coordinates_V3, xyz_N3, 0.25)
    torch.testing.assert_close(found_NC, torch.stack(expected).float())
    order_V = torch.randperm(len(features_VC))
    torch.testing.assert_close(
        interpolate_voxels(features_VC[order_V], voxels.coordinates_V3[order_V], xyz_N3, 0.25),
        found_NC,
        rtol=0,
        atol=0,
    )


def test_interpolation_gives_a_linear_field_back_and_a_center_its_own_value():
    cells = torch.tensor(list(itertools.product(range(-3, 3), repeat=3)), dtype=torch.int32)
    centers = (cells.double() + 0.5) * 0.2
    slope = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]], dtype=torch.float64)
    inner_N3 = (torch.rand(200, 3, dtype=torch.float64) - 0.5) * 0.99
    found_NC = interpolate_voxels(centers @ slope + 1, cells, inner_N3, 0.2)
    torch.testing.assert_close(found_NC, inner_N3 @ slope + 1)
    own = interpolate_voxels(centers @ slope, cells, centers, 0.2)
    torch.testing.assert_close(own, centers @ slope)


def test_interpolation_has_gradients():
    xyz_N3 = cloud(30)
    voxels = voxelize(xyz_N3, 0.5)
    features_VC = torch.randn(len(voxels.counts_V), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda f_VC: interpolate_voxels(f_VC, voxels.coordinates_V3, xyz_N3, 0.5), features_VC
    )


@pytest.mark.parametrize("far", [(2.1, 0.0, 0.0), (0.0, -5.0, 0.0), (0.5, 0.5, 1e30), (1e12, 0, 0)])
def test_a_point_without_a_voxel_around_it_is_refused(far):
    cells = torch.tensor([[0, 0, 0], [0, 0, 1]], dtype=torch.int32)
    with pytest.raises(ValueError, match=r"every point of xyz_N3 must have .* got 1 of 2 without"):
        interpolate_voxels(torch.ones(2, 1), cells, torch.tensor([[0.5, 0.5, 0.5], far]), 1.0)


def test_interpolation_between_no_voxels_is_refused():
    with pytest.raises(ValueError, match="coordinates_V3 holds no voxels"):
        interpolate_voxels(torch.ones(0, 1), torch.zeros(0, 3).int(), torch.zeros(1, 3), 1.0)
    with pytest.raises(ValueError, match="coordinates_V3 must have one row for each of the 3"):
        interpolate_voxels(torch.ones(3, 1), torch.zeros(1, 3).int(), torch.zeros(1, 3), 1.0)


def scan(num_points, seed, channels=2, label_dtype=torch.uint8):
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.randint(0, 7, (num_points,), generator=generator).to(label_dtype)
    features_NC = torch.rand(num_points, channels, generator=generator)
    return PointSample(cloud(num_points, seed), features_NC, labels_N, f"scan{seed}")


def test_scans_in_a_batch_equal_single_scans():
    scans = [scan(50, 0), scan(1, 1, label_dtype=torch.int64), scan(300, 2)]
    batch, labels_N = collate_points(scans, 0.3)
    assert batch.offsets_B.tolist() == [0, 50, 51, 351]
    assert labels_N.dtype == torch.int64
    assert (batch.coordinates_V4.dtype, batch.features_VC.dtype) == (torch.int32, torch.float32)
    for number, sample in enumerate(scans):
        voxels = voxelize(sample.xyz_N3, 0.3)
        points = slice(*batch.offsets_B[number : number + 2].tolist())
        mine = batch.coordinates_V4[:, 0] == number
        assert torch.equal(batch.coordinates_V4[mine][:, 1:], voxels.coordinates_V3)
        assert torch.equal(batch.features_VC[mine], voxel_means(sample.features_NC, voxels))
        assert torch.equal(
            batch.coordinates_V4[batch.inverse_N[points]][:, 1:],
            voxels.coordinates_V3[voxels.inverse_N],
        )
        assert torch.equal(labels_N[points], sample.labels_N.long())
        assert batch.coordinates_V4[batch.inverse_N[points]][:, 0].unique().tolist() == [number]
    torch.testing.assert_close(
        points_from_voxels(batch.features_VC, batch), batch.features_VC[batch.inverse_N]
    )


def test_invalid_batches_are_refused():
    with pytest.raises(ValueError, match=r"samples must hold points, got none in \['scan1'\]"):
        collate_points([scan(5, 0), scan(0, 1)], 0.3)
    with pytest.raises(ValueError, match=r"same channels, got \{'scan0': 2, 'scan1': 3\}"):
        collate_points([scan(5, 0), scan(5, 1, channels=3)], 0.3)
