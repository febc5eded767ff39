"""Regions and neighbours of masks and voxels, against SciPy and against loops over pixels."""

import numpy as np
import pytest
from scipy import ndimage

from equiseg.imbalance.regions import mask_layout, region_at, voxel_layout

K = 5


def slow_layout(labels, num_classes):
    """Layout of a dense array of any dimensions: SciPy's regions, neighbours by shifted copies."""
    labels, K = labels.astype(np.int64), num_classes
    adjacency_KK = np.zeros((K, K), dtype=np.int64)
    for axis in range(labels.ndim):
        line = np.moveaxis(labels, axis, 0)
        for a, b in zip(line[1:].ravel(), line[:-1].ravel(), strict=True):
            if 0 <= a < K and 0 <= b < K:
                adjacency_KK[a, b] += 1
                adjacency_KK[b, a] += 1
    counts_K = [(labels == k).sum() for k in range(K)]
    regions_K = [ndimage.label(labels == k)[1] for k in range(K)]  # sides or faces, by default
    return counts_K, regions_K, adjacency_KK


def assert_layout(layout, expected):
    for counts, slow in zip(layout, expected, strict=True):
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, slow)


def spiral(side):
    """A path one pixel wide that winds inwards, and its background."""
    labels = np.zeros((side, side), dtype=np.uint8)
    row, column, step_row, step_column = 0, 0, 0, 1
    labels[0, 0] = 1

    def free(row, column):
        return 0 <= row < side and 0 <= column < side and not labels[row, column]

    for _ in range(2 * side):
        while free(row + step_row, column + step_column) and (
            not (0 <= row + 2 * step_row < side and 0 <= column + 2 * step_column < side)
            or free(row + 2 * step_row, column + 2 * step_column)
        ):
            row, column = row + step_row, column + step_column
            labels[row, column] = 1
        step_row, step_column = step_column, -step_row
    return labels


def comb(side):
    """Teeth that join in the last row only, where the first rows know nothing of it."""
    labels = np.tile(np.arange(side, dtype=np.uint8) % 2, (side, 1))
    labels[-1] = 1
    return labels


MASKS = {
    "noise": np.random.default_rng(0).integers(0, K, (31, 40)),
    "two classes": np.random.default_rng(1).integers(0, 2, (64, 64)).astype(np.uint8),
    "half ignored": np.random.default_rng(2).choice([0, 3, 255], (30, 33), p=[0.3, 0.2, 0.5]),
    "negative": np.random.default_rng(3).integers(-1, K, (20, 20)).astype(np.int8),
    "one": np.full((7, 9), 4, dtype=np.int32),
    "chequers": np.indices((16, 17)).sum(0) % 2,
    "spiral": spiral(41),
    "comb": comb(40),
    "combs": np.concatenate([comb(40), comb(40)[::-1], comb(40).T]),
    "stripes": np.tile(np.arange(40) % 3, (25, 1)),
    "one row": np.array([[0, 0, 1, 1, 1, 0, 255, 255, 0]]),
    "one column": np.array([[0, 0, 1, 1, 1, 0, 255, 255, 0]]).T,
    "one pixel": np.array([[2]]),
    "not contiguous": np.random.default_rng(4).integers(0, 3, (40, 40))[::2, ::-3],
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_agree_with_loops_over_their_pixels(name):
    labels = MASKS[name]
    for turned in (labels, labels.T, labels[::-1]):
        assert_layout(mask_layout(turned, K), slow_layout(turned, K))


def test_smooth_masks_agree_with_loops_over_their_pixels():
    rng = np.random.default_rng(5)
    for _ in range(5):
        maps = ndimage.zoom(rng.random((K, 5, 6)), (1, 10, 11), order=1)
        labels = maps.argmax(0).astype(np.uint8)
        assert_layout(mask_layout(labels, K), slow_layout(labels, K))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_a_mask_without_pixels_holds_nothing(shape):
    assert_layout(mask_layout(np.zeros(shape, np.uint8), K), ([0] * K, [0] * K, np.zeros((K, K))))


@pytest.mark.parametrize("seed", range(4))
def test_voxels_agree_with_the_dense_box_around_them(seed):
    rng = np.random.default_rng(seed)
    box = rng.choice([0, 1, 4, 255], (6, 7, 9), p=[0.4, 0.2, 0.1, 0.3])
    exists = rng.random(box.shape) < 0.8
    coordinates = np.argwhere(exists)
    order = rng.permutation(len(coordinates))
    coordinates = coordinates[order]
    labels = box[tuple(coordinates.T)]
    layout = voxel_layout((coordinates - [300, 0, -40]).astype(np.int32), labels, K)
    assert_layout(layout, slow_layout(np.where(exists, box, -1), K))


def test_a_mask_is_a_flat_scan():
    labels = MASKS["half ignored"]
    coordinates = np.stack([*(i.ravel() for i in np.indices(labels.shape)), np.zeros(990, int)], 1)
    assert_layout(voxel_layout(coordinates, labels.ravel(), K), mask_layout(labels, K))


def test_a_scan_without_voxels_holds_nothing():
    layout = voxel_layout(np.zeros((0, 3), int), np.zeros(0, int), K)
    assert_layout(layout, ([0] * K, [0] * K, np.zeros((K, K))))


def test_voxels_that_cannot_be_counted_are_refused():
    with pytest.raises(ValueError, match=r"each voxel once, got 2 of 4 again; voxelize"):
        voxel_layout(np.array([[0, 1, 2], [5, 5, 5], [0, 1, 2], [5, 5, 5]]), np.zeros(4, int), K)
    with pytest.raises(ValueError, match=r"fewer than 2\^63, got \[4000000002, 4000000002, 2\]"):
        voxel_layout(np.array([[0, 0, 0], [4 * 10**9] * 2 + [0]]), np.zeros(2, int), K)


@pytest.mark.parametrize("name", MASKS)
def test_the_region_of_a_pixel_is_that_of_scipy(name):
    labels = MASKS[name]
    rng = np.random.default_rng(0)
    for _ in range(12 if labels.size else 0):
        row, column = (int(rng.integers(side)) for side in labels.shape)
        regions = ndimage.label(labels == labels[row, column])[0]
        expected = regions == regions[row, column]
        np.testing.assert_array_equal(region_at(labels, row, column), expected)
