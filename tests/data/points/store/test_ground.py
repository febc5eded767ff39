import numpy as np
import pytest

from places import SHARED_DATA

pytest.importorskip("scipy")

from equiseg.data.points.store.ground import Ground, height_above_ground

IGN = SHARED_DATA / "ign_lidarhd"


def terrain(x, y):
    return 0.08 * x + 2 * np.sin(y / 25) + 120


@pytest.fixture(scope="module")
def village():
    """Rolling ground with a house of 20 x 15 x 6 m and trees: points, true heights."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 100, (60_000, 2))
    height = np.zeros(len(xy))
    house = (abs(xy[:, 0] - 40) < 10) & (abs(xy[:, 1] - 60) < 7.5)
    height[house] = 6
    crown = (np.hypot(xy[:, 0] - 75, xy[:, 1] - 25) < 6) & (rng.random(len(xy)) < 0.7)
    height[crown] = rng.uniform(3, 12, crown.sum())
    z = terrain(*xy.T) + height + rng.normal(0, 0.02, len(xy))
    return np.column_stack([xy, z]), height


def test_heights_of_ground_house_and_trees(village):
    xyz, height = village
    error = height_above_ground(xyz) - height
    assert np.abs(error[height == 0]).max() < 0.6
    assert np.abs(np.median(error[height == 0])) < 0.1
    assert np.abs(error[height == 6]).max() < 1.5  # its ground is interpolated


def test_a_stray_echo_deep_below_is_no_pit(village):
    xyz, height = village
    stray = np.append(xyz, [[10.0, 10.0, 60.0]], axis=0)
    error = height_above_ground(stray)[:-1] - height
    assert np.abs(error[height == 0]).max() < 0.6


def test_parts_give_the_same_ground(village):
    xyz, _ = village
    ground = Ground(xyz[:, :2].min(0), xyz[:, :2].max(0), len(xyz))
    for part in np.array_split(xyz, 7):
        ground.add(part)
    assert np.array_equal(ground.heights(xyz), height_above_ground(xyz))


def test_large_coordinates_change_nothing(village):
    xyz, _ = village
    moved = height_above_ground(xyz + np.array([700_000, 6_600_000, 0]))
    assert np.abs(moved - height_above_ground(xyz)).max() < 1e-3


def test_uphill_and_downhill_give_the_same_heights():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 400, (2, 40_000))  # a point in 4 square meters, cells of 4 m
    uphill = height_above_ground(np.column_stack([x, y, 0.1 * x]))
    downhill = height_above_ground(np.column_stack([x, y, -0.1 * x]))
    assert abs(uphill.mean() - downhill.mean()) < 0.05


@pytest.mark.parametrize("xyz", [[[1.0, 2.0, 3.0]], [[0.0, 0.0, 5.0]] * 3])
def test_points_at_one_place_are_ground(xyz):
    assert height_above_ground(np.array(xyz)).tolist() == [0.0] * len(xyz)


def test_a_stray_point_far_away_does_not_exhaust_memory():
    xyz = np.array([[0.0, 0.0, 1.0], [1e5, 1e5, 2.0]])
    assert Ground(xyz[0, :2], xyz[1, :2], 10**7).cell >= 1e5 / 4096


@pytest.mark.parametrize("tile", ["decimated/2023_0300_6802.laz", "dense/77050_627760.laz"])
def test_real_tiles_against_their_classes(tile):
    laspy = pytest.importorskip("laspy")
    if not (IGN / tile).is_file():
        pytest.skip(f"{IGN} is not there")
    las = laspy.read(IGN / tile)
    height = height_above_ground(np.column_stack([las.x, las.y, las.z]))
    codes = np.asarray(las.classification)
    assert np.quantile(np.abs(height[codes == 2]), 0.9) < 0.25
    assert np.median(height[codes == 5]) > 3
    assert np.quantile(height[codes == 6], 0.1) > 2
