"""Objects in label maps: connected regions of one class, and how two maps of them overlap.

Pixels or voxels of a region touch by a face, an edge or a corner (8 neighbours in images, 26 in
volumes and scans), as in the panoptic and medical benchmarks. It uses only NumPy and has no loop
over pixels: a map is read as runs (stretches of one class along its last axis), and runs that touch
are joined.

Shapes: R runs, or voxels of a scan; G regions; P pairs of regions.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equiseg.imbalance.regions import Ids, Integers, parents
from equiseg.imbalance.voxel_keys import VoxelKeys

_NONE = -1


class Regions(NamedTuple):
    """The connected regions of one map or scan.

    Attributes:
        places_R: (R,) int64, ascending: place of the first pixel of each run in the flat map. The
            runs cover the map without gaps.
        regions_R: (R,) int64, region of each run; -1 where the value is no class.
        classes_G: (G,) int64, class of each region.
        sizes_G: (G,) int64, its pixels.
        num_places: Pixels of the map.
    """

    places_R: Ids
    regions_R: Ids
    classes_G: Ids
    sizes_G: Ids
    num_places: int


class Overlaps(NamedTuple):
    """Pairs of regions of two maps that share pixels.

    Attributes:
        first_P: (P,) int64, region of the first map; -1 for its pixels without a class.
        second_P: (P,) int64, region of the second map, likewise.
        pixels_P: (P,) int64, the pixels they share.
    """

    first_P: Ids
    second_P: Ids
    pixels_P: Ids


def map_regions(values: Integers, num_classes: int) -> Regions:
    """Regions of an image or volume.

    Args:
        values: (H, W), (D, H, W) or (W,) class ids; ids outside 0..K-1 belong to no region.
        num_classes: Number of classes K.
    """
    flat = values.ravel()
    width = values.shape[-1]
    begins = np.ones(values.shape, dtype=bool)  # every row begins a run
    np.not_equal(values[..., 1:], values[..., :-1], out=begins[..., 1:])
    places_R = np.flatnonzero(begins)
    ends_R = np.append(places_R[1:], flat.size)
    values_R = flat[places_R]
    pairs = [
        _touching(places_R, ends_R, values_R, values.shape[:-1], offset, width)
        for offset in _half(values.ndim - 1)
    ]
    first, second = _joined(pairs)
    return _regions(places_R, ends_R - places_R, values_R, first, second, num_classes, flat.size)


def voxel_regions(coordinates_V4: Integers, values_V: Integers, num_classes: int) -> Regions:
    """Regions of the voxels of scans; voxels of different scans never touch.

    Args:
        coordinates_V4: (V, 4) scan and x, y, z of each voxel, each once, in any order.
        values_V: (V,) class ids; ids outside 0..K-1 belong to no region.
        num_classes: Number of classes K.

    Raises:
        ValueError: If a voxel is repeated, or the box around the voxels has 2^63 places or more.
    """
    voxels = VoxelKeys.of(coordinates_V4)
    pairs: list[tuple[Ids, Ids]] = []
    for offset in _half(3):
        first, second = voxels.pairs(int(np.dot(offset, voxels.strides_A[1:])))
        first, second = voxels.order_V[first], voxels.order_V[second]
        alike = values_V[first] == values_V[second]
        pairs.append((first[alike], second[alike]))
    first, second = _joined(pairs)
    places_V = np.arange(len(values_V))
    ones_V = np.ones_like(places_V)
    return _regions(places_V, ones_V, values_V, first, second, num_classes, len(values_V))


def overlaps(one: Regions, other: Regions) -> Overlaps:
    """Pixels that each region of one map shares with each region of another, where any.

    Args:
        one: Regions of a map.
        other: Regions of another map of the same shape.
    """
    places = np.union1d(one.places_R, other.places_R)
    sizes = np.diff(places, append=one.num_places)
    first, second = (
        regions.regions_R[np.searchsorted(regions.places_R, places, side="right") - 1]
        for regions in (one, other)
    )
    columns = len(other.classes_G) + 1
    keys, inverse = np.unique((first + 1) * columns + second + 1, return_inverse=True)
    pixels = np.bincount(inverse.ravel(), sizes, len(keys)).astype(np.int64)
    return Overlaps(keys // columns - 1, keys % columns - 1, pixels)


def _half(axes: int) -> list[tuple[int, ...]]:
    """Half of the neighbours along some axes, so that each pair of places is met once."""
    every = itertools.product((-1, 0, 1), repeat=axes)
    return [offset for offset in every if offset < (0,) * axes]


def _touching(
    places_R: Ids,
    ends_R: Ids,
    values_R: Integers,
    rows: tuple[int, ...],
    offset: tuple[int, ...],
    width: int,
) -> tuple[Ids, Ids]:
    """Pairs of runs of one value: a run, and those next to it in the row at an offset."""
    row_R = places_R // width
    inside = np.ones(len(places_R), dtype=bool)
    shift, stride = 0, 1
    for side, step in zip(rows[::-1], offset[::-1], strict=True):
        place_R = row_R // stride % side + step
        inside &= (place_R >= 0) & (place_R < side)
        shift, stride = shift + step * stride, stride * side
    run = np.flatnonzero(inside)
    low = (row_R[run] + shift) * width
    # One pixel more at both ends: corners touch.
    least = np.maximum(places_R[run] + shift * width - 1, low)
    most = np.minimum(ends_R[run] + shift * width, low + width - 1)
    begin = np.searchsorted(places_R, least, side="right") - 1
    count = np.searchsorted(places_R, most, side="right") - begin
    first = np.repeat(run, count)
    starts = np.cumsum(count) - count
    second = np.arange(len(first)) - np.repeat(starts - begin, count)
    alike = values_R[first] == values_R[second]
    return first[alike], second[alike]


def _joined(pairs: list[tuple[Ids, Ids]]) -> tuple[Ids, Ids]:
    none = np.empty(0, dtype=np.int64)
    first, second = zip(*pairs, (none, none), strict=True)
    return np.concatenate(first), np.concatenate(second)


def _regions(
    places_R: Ids,
    sizes_R: Ids,
    values_R: NDArray[Any],
    first: Ids,
    second: Ids,
    num_classes: int,
    num_places: int,
) -> Regions:
    """Number the components of the runs that belong to classes, in the order of their first run."""
    known_R = (values_R >= 0) & (values_R < num_classes)
    roots_R = parents(len(places_R), first, second)
    roots = np.flatnonzero((roots_R == np.arange(len(roots_R))) & known_R)
    numbers_R = np.full(len(places_R), _NONE, dtype=np.int64)
    numbers_R[roots] = np.arange(len(roots))
    regions_R = np.where(known_R, numbers_R[roots_R], _NONE)
    sizes_G = np.bincount(regions_R[known_R], sizes_R[known_R], len(roots)).astype(np.int64)
    return Regions(places_R, regions_R, values_R[roots].astype(np.int64), sizes_G, num_places)
