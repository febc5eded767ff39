"""Class centers of voxels under labelled points: counted, never copied."""

import pytest
import torch

from equiseg.centers import class_centers
from equiseg.centers.label_sides import LabelSide, voxel_side
from maps import LargestTensor

K, V, D, N = 6, 40, 8, 300


def scan(seed: int = 0, *, voxels: int = V, points: int = N, dtype=torch.float64):
    """Features of voxels; labels without class 3 and with some ignored; the voxel of each point."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(voxels, D, generator=generator, dtype=dtype)
    labels = torch.randint(0, K, (points,), generator=generator)
    labels[labels == 3] = 255
    inverse = torch.randint(0, voxels, (points,), generator=generator)
    inverse[inverse == 7] = 8  # a voxel without points
    return features, labels, inverse


@pytest.mark.parametrize("prepared", [False, True])
def test_equal_to_the_means_of_the_points(prepared):
    features, labels, inverse = scan()
    side = voxel_side(labels, inverse, V, K, dtype=torch.float64) if prepared else None
    counted = class_centers(features, labels, K, inverse=inverse, label_side=side)
    torch.testing.assert_close(counted, class_centers(features[inverse], labels, K))
    assert torch.autograd.gradcheck(
        lambda rows: class_centers(rows, labels, K, inverse=inverse, label_side=side).centers_KD,
        features.requires_grad_(),
    )


def test_the_compiled_route_gives_the_same():
    features, labels, inverse = scan()
    centers = torch.compile(class_centers, fullgraph=True, backend="aot_eager")
    expected = class_centers(features, labels, K, inverse=inverse)
    torch.testing.assert_close(centers(features, labels, K, inverse=inverse), expected)


def test_scans_of_different_size_collate():
    scans = [scan(1), scan(2, voxels=17, points=90), scan(3, voxels=9, points=0)]
    sides = [
        voxel_side(labels, inverse, len(features), K, dtype=torch.float64)
        for features, labels, inverse in scans
    ]
    starts = [0, V, V + 17]
    features = torch.cat([features for features, _, _ in scans])
    labels = torch.cat([labels for _, labels, _ in scans])
    inverse = torch.cat([i + start for (_, _, i), start in zip(scans, starts, strict=True)])
    together = class_centers(features, labels, K, inverse=inverse)
    side = LabelSide.cat(sides)
    assert side.feature_shape == (V + 17 + 9,)
    collated = class_centers(features, labels, K, inverse=inverse, label_side=side)
    torch.testing.assert_close(collated, together)


def test_the_order_of_the_points_does_not_matter():
    features, labels, inverse = scan(dtype=torch.float32)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(4))
    shuffled = class_centers(features, labels[order], K, inverse=inverse[order])
    assert torch.equal(
        shuffled.centers_KD, class_centers(features, labels, K, inverse=inverse).centers_KD
    )


def test_no_feature_is_copied_to_the_points():
    features, labels, inverse = scan(points=50 * N, dtype=torch.float32)
    features = features.repeat(1, 64).requires_grad_()
    with LargestTensor() as largest:
        class_centers(features, labels, K, inverse=inverse).centers_KD.sum().backward()
    assert largest.numel <= max(50 * N, features.numel())  # and nothing of N times D


def test_no_points_and_no_voxels():
    features, labels, inverse = scan(points=0)
    assert class_centers(features, labels, K, inverse=inverse).counts_K.sum() == 0
    assert class_centers(features[:0], labels, K, inverse=inverse).centers_KD.shape == (K, D)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inverse": torch.zeros(N, dtype=torch.int32)}, TypeError, "inverse must be int64"),
        ({"inverse": torch.full((N,), V)}, ValueError, rf"rows 0\.\.{V - 1} .* got {V}\.\.{V}"),
        ({"inverse": torch.zeros(N - 1, dtype=torch.int64)}, ValueError, r"inverse \(299,\)"),
        ({"labels": torch.full((N,), K)}, ValueError, rf"labels must be class ids 0\.\.{K - 1}"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(change, error, message):
    features, labels, inverse = scan()
    given = {"labels": labels, "inverse": inverse} | change
    with pytest.raises(error, match=message):
        class_centers(features, given["labels"], K, inverse=given["inverse"])
    with pytest.raises(error, match=message):
        voxel_side(given["labels"], given["inverse"], V, K)


def test_a_side_of_another_voxelisation_is_refused():
    features, labels, inverse = scan()
    side = voxel_side(labels, inverse, V + 1, K)
    with pytest.raises(ValueError, match=r"made for 6 classes on maps \(41,\), got .* \(40,\)"):
        class_centers(features, labels, K, inverse=inverse, label_side=side)


def test_in_eight_bits_no_class_is_taken_for_ignored():
    labels = torch.tensor([156, 156, 3], dtype=torch.uint8)  # 156 is -100 in 8 bits
    inverse = torch.tensor([0, 1, 1])
    counts_K = class_centers(torch.ones(2, D), labels, 200, ignore_index=-100, inverse=inverse)[1]
    assert counts_K[156] == 2


def test_a_side_of_voxels_fits_either_convention_of_a_resize():
    features, labels, inverse = scan()
    side = voxel_side(labels, inverse, V, K, dtype=torch.float64)
    options = {"inverse": inverse, "align_corners": True}
    torch.testing.assert_close(
        class_centers(features, labels, K, label_side=side, **options),
        class_centers(features, labels, K, **options),
    )
