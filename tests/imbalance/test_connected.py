"""Connected regions and their overlaps against flood fill and counts pixel by pixel."""

import itertools
from collections import Counter, deque

import numpy as np
import pytest

from equiseg.imbalance.connected import map_regions, overlaps, voxel_regions

K = 3


def flooded(values):
    """Regions by flood fill: the class and the places of each."""
    left = {place for place, value in values.items() if 0 <= value < K}
    found = []
    while left:
        start = left.pop()
        region, queue = {start}, deque([start])
        while queue:
            place = queue.popleft()
            for offset in itertools.product((-1, 0, 1), repeat=len(place)):
                other = tuple(a + b for a, b in zip(place, offset, strict=True))
                if other in left and values[other] == values[start]:
                    left.remove(other)
                    region.add(other)
                    queue.append(other)
        found.append((values[start], frozenset(region)))
    return sorted(found, key=lambda region: (region[0], sorted(region[1])))


def places_of(values):
    return {place: int(value) for place, value in np.ndenumerate(values)}


def regions_of(regions, shape):
    """The same, read from the runs."""
    sizes = np.diff(regions.places_R, append=regions.num_places)
    numbers = np.repeat(regions.regions_R, sizes).reshape(shape)
    found = []
    for number, class_id in enumerate(regions.classes_G.tolist()):
        places = frozenset(map(tuple, np.argwhere(numbers == number).tolist()))
        assert len(places) == regions.sizes_G[number]
        found.append((class_id, places))
    return sorted(found, key=lambda region: (region[0], sorted(region[1])))


@pytest.mark.parametrize(
    "shape", [(9,), (1, 1), (1, 12), (12, 1), (7, 11), (3, 4, 5), (1, 6, 4), (5, 1, 1)]
)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_regions_of_maps_equal_flood_fill(shape, dtype):
    rng = np.random.default_rng(0)
    for _ in range(10):
        values = rng.integers(0, K + 2, shape).astype(dtype)  # K and K + 1 are no classes
        assert regions_of(map_regions(values, K), shape) == flooded(places_of(values))


def test_regions_touch_by_corners_and_not_around_the_edge():
    corners = np.array([[1, 0, 1], [0, 1, 0]])
    assert Counter(map_regions(corners, 2).classes_G.tolist()) == {0: 1, 1: 1}
    edges = np.array([[0, 0, 1], [1, 0, 0]])  # end of a row, start of the next
    assert Counter(map_regions(edges, 2).classes_G.tolist()) == {0: 1, 1: 2}


def test_regions_of_voxels_equal_flood_fill_and_do_not_cross_scans():
    rng = np.random.default_rng(0)
    for _ in range(10):
        values = rng.integers(0, K + 1, (2, 3, 4, 5))
        places_V4 = rng.permutation(np.argwhere(rng.random(values.shape) < 0.6))
        values_V = values[tuple(places_V4.T)]
        regions = voxel_regions(places_V4 - 7, values_V, K)
        found = [
            (class_id, frozenset(map(tuple, places_V4[regions.regions_R == number].tolist())))
            for number, class_id in enumerate(regions.classes_G.tolist())
        ]
        expected = []
        for scan in range(2):
            own = {
                tuple(place): int(value)
                for place, value in zip(places_V4.tolist(), values_V, strict=True)
                if place[0] == scan
            }
            expected += flooded(own)
        assert len(found) == len(expected)
        assert set(found) == set(expected)


def test_repeated_voxels_are_refused():
    with pytest.raises(ValueError, match="each voxel once, got 1 of 3"):
        voxel_regions(np.array([[0, 1, 1, 1], [0, 2, 1, 1], [0, 1, 1, 1]]), np.zeros(3, int), K)


@pytest.mark.parametrize("shape", [(1, 1), (6, 9), (3, 4, 5)])
def test_overlaps_count_every_pixel_once(shape):
    rng = np.random.default_rng(1)
    for _ in range(10):
        maps = [map_regions(rng.integers(0, K + 1, shape), K) for _ in range(2)]
        numbers = [np.repeat(m.regions_R, np.diff(m.places_R, append=m.num_places)) for m in maps]
        expected = Counter(zip(*(n.tolist() for n in numbers), strict=True))
        found = overlaps(*maps)
        assert (
            dict(
                zip(
                    zip(found.first_P.tolist(), found.second_P.tolist(), strict=True),
                    found.pixels_P.tolist(),
                    strict=True,
                )
            )
            == expected
        )
