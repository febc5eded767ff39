"""Voxels: from points to voxels, their means and labels, and back to the points.

A voxel (x, y, z) is the half-open cube ``[x, x + 1) * size``, and likewise along y and z. The grid
starts at the origin of the coordinates, so the voxel of a point does not depend on the other
points. Shapes: N points, V voxels, C channels, B scans.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.data.points.sample import PointSample
from equiseg.labels import check_labels

_INT32_END = 2**31
_INT64_END = 2**63


class Voxels(NamedTuple):
    """The occupied voxels of one scan, sorted by x, then y, then z.

    Attributes:
        coordinates_V3: (V, 3) int32.
        inverse_N: (N,) int64, the row of the voxel of every point.
        counts_V: (V,) int64, number of points in each voxel, at least 1.
    """

    coordinates_V3: Tensor
    inverse_N: Tensor
    counts_V: Tensor


class VoxelBatch(NamedTuple):
    """The voxels of several scans, one scan after the other; the input of a sparse network.

    Attributes:
        coordinates_V4: (V, 4) int32: index of the scan in the batch, x, y, z.
        features_VC: (V, C) float32 means of the features of the points.
        inverse_N: (N,) int64, the row of the voxel of every point.
        offsets_B: (B + 1,) int64; scan b has the points ``offsets_B[b]:offsets_B[b + 1]``.
    """

    coordinates_V4: Tensor
    features_VC: Tensor
    inverse_N: Tensor
    offsets_B: Tensor


def voxelize(xyz_N3: Tensor, size: float, *, origin_3: Tensor | None = None) -> Voxels:
    """The voxels that hold points.

    The voxels are sorted, so the order of the points affects only ``inverse_N``.

    Args:
        xyz_N3: (N, 3) coordinates in meters; the division is done in float64.
        size: Side of a voxel in meters.
        origin_3: (3,) corner of voxel (0, 0, 0) in meters; None takes (0, 0, 0).

    Raises:
        ValueError: If there are no points, the size is not positive, or a coordinate is not
            finite or further than 2^31 voxels from the origin.
    """
    if not len(xyz_N3):
        raise ValueError("xyz_N3 holds no points; leave empty scans out before voxelising")
    places_N3 = _places(xyz_N3, size, origin_3).floor_()
    furthest = places_N3.abs().amax().item()
    if not furthest < _INT32_END:  # also where it is NaN
        raise ValueError(
            f"xyz_N3 must be finite and within 2^31 voxels of {size} m from the origin, got a "
            f"point {furthest:g} voxels away; subtract an origin near the points, or take larger "
            "voxels"
        )
    cells_N3 = places_N3.long()
    lower_3, extent_3 = _extent(cells_N3)
    keys_V, inverse_N, counts_V = torch.unique(
        _packed(cells_N3 - lower_3, extent_3), return_inverse=True, return_counts=True
    )
    rows_V, z_V = keys_V // extent_3[2], keys_V % extent_3[2]
    x_V, y_V = rows_V // extent_3[1], rows_V % extent_3[1]
    coordinates_V3 = torch.stack([x_V, y_V, z_V], 1) + lower_3
    return Voxels(coordinates_V3.int(), inverse_N, counts_V)


def voxel_means(values_NC: Tensor, voxels: Voxels) -> Tensor:
    """Mean of the points' values in each voxel: (V, C), in the dtype of the values.

    Sums are in float64, because float32 sums over many points have rounding errors that depend on
    the order of the points. Differentiable.

    Args:
        values_NC: (N, C) floating-point values of the points.
        voxels: Voxels of the same points.
    """
    _check_rows("values_NC", values_NC, voxels.inverse_N)
    if not values_NC.is_floating_point():
        raise TypeError(
            f"values_NC must be floating point, got {values_NC.dtype}; for colours in "
            "0..255 use values_NC.float() / 255"
        )
    sums_VC = values_NC.new_zeros(
        len(voxels.counts_V), values_NC.shape[1], dtype=torch.float64
    ).index_add(0, voxels.inverse_N, values_NC.double())
    return (sums_VC / voxels.counts_V.unsqueeze(1)).to(values_NC.dtype)


def majority_labels(
    labels_N: Tensor, voxels: Voxels, num_classes: int, ignore_index: int
) -> Tensor:
    """The most common class of each voxel: (V,) int64.

    For networks that learn one label per voxel; the losses of equiseg can also take the labels of
    the points. Unlabelled points do not count. In a tie, the lower class id wins; a voxel without a
    labelled point gets ``ignore_index``.

    Args:
        labels_N: (N,) class ids of the points.
        voxels: Voxels of the same points.
        num_classes: Number of classes K.
        ignore_index: Label of unlabelled points.

    Raises:
        ValueError: If a label is neither a class nor ``ignore_index``.
    """
    _check_rows("labels_N", labels_N, voxels.inverse_N)
    check_labels(labels_N, num_classes, ignore_index=ignore_index)
    known_N = labels_N.long() != ignore_index
    votes_N = voxels.inverse_N[known_N] * num_classes + labels_N[known_N].long()
    pairs, counts = torch.unique(votes_N, return_counts=True)
    # One number that sorts by count and, at equal counts, by descending class id.
    ranks = counts * num_classes + (num_classes - 1 - pairs % num_classes)
    best_V = torch.full_like(voxels.counts_V, -1)
    best_V.scatter_reduce_(0, pairs // num_classes, ranks, "amax")
    return torch.where(best_V < 0, ignore_index, num_classes - 1 - best_V % num_classes)


def points_from_voxels(features_VC: Tensor, voxels: Voxels | VoxelBatch) -> Tensor:
    """The features of the voxel of every point: (N, C), differentiable."""
    return features_VC.index_select(0, voxels.inverse_N)


def interpolate_voxels(
    features_VC: Tensor, coordinates_V3: Tensor, xyz_N3: Tensor, size: float
) -> Tensor:
    """Trilinear features at points: (N, C), differentiable in the features.

    Features are located at the centers of their voxels. Of the eight centers around a point, only
    existing voxels count, with weights scaled to sum to 1: a point in an existing voxel always has
    a value, and constant features stay constant.

    Args:
        features_VC: (V, C) features.
        coordinates_V3: (V, 3) voxels of one scan, in any order, without duplicates.
        xyz_N3: (N, 3) points in meters, of the same or another scan.
        size: Side of a voxel in meters.

    Raises:
        ValueError: If a point has no voxel around it, or the numbers of rows differ.
    """
    _check_rows("coordinates_V3", coordinates_V3, features_VC)
    if not len(coordinates_V3):
        raise ValueError("coordinates_V3 holds no voxels to interpolate between")
    rows_N8, weights_N8 = _corners(coordinates_V3.long(), _places(xyz_N3, size, None) - 0.5)
    total_N1 = weights_N8.sum(1, keepdim=True)
    if missing := int((~(total_N1 > 0)).sum()):
        raise ValueError(
            f"every point of xyz_N3 must have a voxel around it, got {missing} of "
            f"{len(xyz_N3)} without; interpolate at points near those that were voxelised, "
            "with the same size"
        )
    return F.embedding_bag(  # gathers and sums without a row for every corner
        rows_N8,
        features_VC,
        mode="sum",
        per_sample_weights=(weights_N8 / total_N1).to(features_VC.dtype),
    )


def _corners(cells_V3: Tensor, places_N3: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and trilinear weights (N, 8) of the voxels around places; weight 0 if there is none."""
    lower_3, extent_3 = _extent(cells_V3, margin=1)
    keys_V, order_V = _packed(cells_V3 - lower_3, extent_3).sort()
    share_N3 = places_N3 - places_N3.floor()
    corner_N3 = places_N3.floor() - lower_3
    near_N = ((corner_N3 >= 0) & (corner_N3 <= extent_3 - 2)).all(1)
    key_N = _packed(corner_N3.where(near_N.unsqueeze(1), 0).long(), extent_3)

    rows, weights = [], []
    for x, y in itertools.product((0, 1), repeat=2):
        share_N = _linear(share_N3[:, 0], x) * _linear(share_N3[:, 1], y) * near_N
        wanted_N = key_N + (x * extent_3[1] + y) * extent_3[2]
        row_N = torch.searchsorted(keys_V, wanted_N)  # of z; z + 1 can only be the next row
        for z in (0, 1):
            row_N = row_N.clamp(max=len(keys_V) - 1)
            exists_N = keys_V[row_N] == wanted_N + z
            rows.append(order_V[row_N])
            weights.append(share_N * _linear(share_N3[:, 2], z) * exists_N)
            row_N = row_N + exists_N
    return torch.stack(rows, 1), torch.stack(weights, 1)


def collate_points(samples: Sequence[PointSample], voxel_size: float) -> tuple[VoxelBatch, Tensor]:
    """A batch for a sparse network, and the labels of its points.

    Args:
        samples: B scans with the same C feature channels.
        voxel_size: Side of a voxel in meters.

    Returns:
        The voxels, and the labels (N,) int64 of all points in the order of ``inverse_N``.

    Raises:
        ValueError: If a scan has no points or the channels differ.
    """
    if empty := [sample.name for sample in samples if not len(sample.xyz_N3)]:
        raise ValueError(f"samples must hold points, got none in {empty}; leave these scans out")
    widths = {sample.name: sample.features_NC.shape[1] for sample in samples}
    if len(set(widths.values())) > 1:
        raise ValueError(f"scans of one batch must have the same channels, got {widths} of them")
    coordinates, features, inverse, offsets, num_voxels = [], [], [], [0], 0
    for number, sample in enumerate(samples):
        voxels = voxelize(sample.xyz_N3, voxel_size)
        scan_V1 = torch.full_like(voxels.coordinates_V3[:, :1], number)
        coordinates.append(torch.cat([scan_V1, voxels.coordinates_V3], 1))
        features.append(voxel_means(sample.features_NC, voxels))
        inverse.append(voxels.inverse_N + num_voxels)
        offsets.append(offsets[-1] + len(sample.xyz_N3))
        num_voxels += len(voxels.counts_V)
    batch = VoxelBatch(
        torch.cat(coordinates), torch.cat(features), torch.cat(inverse), torch.tensor(offsets)
    )
    return batch, torch.cat([sample.labels_N.long() for sample in samples])


def _places(xyz_N3: Tensor, size: float, origin_3: Tensor | None) -> Tensor:
    """Coordinates in voxels, in float64; float32 would put points outside their voxel."""
    if not 0 < size < math.inf:
        raise ValueError(f"size must be the side of a voxel in meters, above 0, got {size}")
    if xyz_N3.ndim != 2 or xyz_N3.shape[1] != 3:
        raise ValueError(f"xyz_N3 must be (N, 3), got {tuple(xyz_N3.shape)}")
    places_N3 = xyz_N3.double()
    if origin_3 is not None:
        places_N3 = places_N3 - origin_3.to(places_N3)
    return places_N3 / size


def _extent(cells_N3: Tensor, margin: int = 0) -> tuple[Tensor, Tensor]:
    """Lowest cell and number of cells along each axis, with a margin on both sides."""
    lower_3 = cells_N3.amin(0) - margin
    extent_3 = cells_N3.amax(0) + margin + 1 - lower_3
    if math.prod(extent_3.tolist()) >= _INT64_END:
        raise ValueError(
            f"voxels must span a box of fewer than 2^63, got {extent_3.tolist()} along x, y, z; "
            "remove points that lie far outside, or take larger voxels"
        )
    return lower_3, extent_3


def _packed(cells_N3: Tensor, extent_3: Tensor) -> Tensor:
    """One int64 for each cell, in the order of x, then y, then z."""
    return (cells_N3[:, 0] * extent_3[1] + cells_N3[:, 1]) * extent_3[2] + cells_N3[:, 2]


def _linear(share_N: Tensor, upper: int) -> Tensor:
    """Linear weight of the lower or the upper of two neighbours."""
    return share_N if upper else 1 - share_N


def _check_rows(name: str, rows: Tensor, others: Tensor) -> None:
    if len(rows) != len(others):
        raise ValueError(
            f"{name} must have one row for each of the {len(others)} it belongs to, got "
            f"{len(rows)}; take both from the same scan"
        )
