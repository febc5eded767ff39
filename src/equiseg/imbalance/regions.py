"""Layout of the labels of an image or scan: connected regions, and classes that touch.

It uses only NumPy and has no loop over pixels. A mask is read as runs (stretches of one label
within a row): a few thousand for a quarter of a million pixels. Runs, or the voxels of a scan, are
the nodes of a graph whose edges join touching nodes; regions are its components within a class.

Shapes: P pixels, R runs or voxels (the nodes), E pairs of nodes that touch, K classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equiseg.imbalance.voxel_keys import VoxelKeys

Integers = NDArray[np.integer[Any]]
Ids = NDArray[np.int64]


class Layout(NamedTuple):
    """Counts, regions and neighbours of the classes in one image or scan.

    Attributes:
        counts_K: (K,) int64, pixels or voxels of each class.
        regions_K: (K,) int64, connected regions of each class.
        adjacency_KK: (K, K) int64; each pair of neighbours is counted from both sides, so the
            matrix is symmetric and its diagonal holds twice the pairs within a class.
    """

    counts_K: Ids
    regions_K: Ids
    adjacency_KK: Ids


def mask_layout(labels_HW: Integers, num_classes: int) -> Layout:
    """Layout of a mask; neighbours are the pixels to the left and right, above and below.

    Args:
        labels_HW: (H, W); labels outside 0..K-1 are left out.
        num_classes: Number of classes K.
    """
    runs = _runs(labels_HW)
    return _layout(
        labels_HW.ravel()[runs.places_R],
        runs.sizes_R,
        runs.first_E,
        runs.second_E,
        runs.weights_E,
        num_classes,
    )


def region_at(labels_HW: Integers, row: int, column: int) -> NDArray[np.bool_]:
    """The connected region that contains a pixel: (H, W) bool.

    Args:
        labels_HW: (H, W) labels; the whole region has the label of the pixel.
        row: Row of the pixel.
        column: Column of the pixel.
    """
    runs = _runs(labels_HW)
    labels_R = labels_HW.ravel()[runs.places_R]
    own_R = labels_R == labels_HW[row, column]
    joined = own_R[runs.first_E] & own_R[runs.second_E]
    parents_R = parents(len(labels_R), runs.first_E[joined], runs.second_E[joined])
    place = row * labels_HW.shape[1] + column
    run = np.searchsorted(runs.places_R, place, side="right") - 1
    return np.repeat(parents_R == parents_R[run], runs.sizes_R).reshape(labels_HW.shape)


class _Runs(NamedTuple):
    """A mask as runs: start and size of each, pairs that touch, and the lengths of the contacts."""

    places_R: Ids
    sizes_R: Ids
    first_E: Ids
    second_E: Ids
    weights_E: Ids


def _runs(labels_HW: Integers) -> _Runs:
    width = labels_HW.shape[1]
    labels_P = labels_HW.ravel()
    begins_HW = np.ones(labels_HW.shape, dtype=bool)  # every row begins a run
    np.not_equal(labels_HW[:, 1:], labels_HW[:, :-1], out=begins_HW[:, 1:])
    begins_P = begins_HW.ravel()
    places_R = np.flatnonzero(begins_P)
    sizes_R = np.diff(places_R, append=labels_P.size)

    left = np.flatnonzero(places_R[1:] % max(width, 1))  # the next run is in the same row
    # Between two successive starts of runs in either row, one run lies below exactly one run.
    overlaps = np.flatnonzero(begins_P[width:] | begins_P[: labels_P.size - width])
    above = np.searchsorted(places_R, overlaps, side="right") - 1
    below = np.searchsorted(places_R, overlaps + width, side="right") - 1
    lengths = np.diff(overlaps, append=labels_P.size - width)
    return _Runs(
        places_R,
        sizes_R,
        np.concatenate([left, above]),
        np.concatenate([left + 1, below]),
        np.concatenate([np.ones_like(left), lengths]),
    )


def voxel_layout(coordinates_V3: Integers, labels_V: Integers, num_classes: int) -> Layout:
    """Layout of the voxels of one scan; neighbours share a face.

    Args:
        coordinates_V3: (V, 3), each voxel once, in any order.
        labels_V: (V,); labels outside 0..K-1 are left out.
        num_classes: Number of classes K.

    Raises:
        ValueError: If a voxel is repeated, or the box around the voxels has 2^63 places or more.
    """
    voxels = VoxelKeys.of(coordinates_V3)
    pairs = [voxels.pairs(int(stride)) for stride in voxels.strides_A]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    ones_V = np.ones_like(voxels.keys_V)
    return _layout(
        labels_V[voxels.order_V], ones_V, first, second, np.ones_like(first), num_classes
    )


def _layout(
    labels_R: Integers, sizes_R: Ids, first_E: Ids, second_E: Ids, weights_E: Ids, num_classes: int
) -> Layout:
    """Layout of nodes that are stretches of pixels (a voxel is a stretch of length 1).

    Args:
        labels_R: Label of each node.
        sizes_R: Pixels in each node; n pixels in a row are n - 1 pairs of neighbours.
        first_E: One node of each pair that touches.
        second_E: The other one.
        weights_E: Pairs of neighbouring pixels between the two.
        num_classes: Number of classes K.
    """
    K = num_classes
    ids_R = labels_R.astype(np.int64)
    ids_R[(ids_R < 0) | (ids_R >= K)] = K  # cut off below
    ids_first_E, ids_second_E = ids_R[first_E], ids_R[second_E]
    rows, columns = np.append(ids_R, ids_first_E), np.append(ids_R, ids_second_E)
    pairs = np.append(sizes_R - 1, weights_E)
    pairs_KK = np.bincount(rows * (K + 1) + columns, pairs, (K + 1) ** 2).reshape(K + 1, K + 1)
    joined = ids_first_E == ids_second_E
    parents_R = parents(len(ids_R), first_E[joined], second_E[joined])
    roots = np.flatnonzero(parents_R == np.arange(len(ids_R)))
    return Layout(
        np.bincount(ids_R, sizes_R, K + 1)[:K].astype(np.int64),
        np.bincount(ids_R[roots], minlength=K + 1)[:K].astype(np.int64),
        (pairs_KK + pairs_KK.T)[:K, :K].astype(np.int64),  # weights are float64: exact to 2^53
    )


def parents(num_nodes: int, first_E: Ids, second_E: Ids) -> Ids:
    """For each node the smallest node of its connected component.

    Each round hooks every root to the smallest root it touches, lets all nodes jump up to their
    root, and keeps the edges between different roots (Shiloach & Vishkin 1982).
    """
    parents_R = np.arange(num_nodes)
    while len(first_E):
        np.minimum.at(parents_R, np.maximum(first_E, second_E), np.minimum(first_E, second_E))
        while not np.array_equal(parents_R, jumped_R := parents_R[parents_R]):
            parents_R = jumped_R
        first_E, second_E = parents_R[first_E], parents_R[second_E]
        apart = first_E != second_E
        first_E, second_E = first_E[apart], second_E[apart]
    return parents_R
