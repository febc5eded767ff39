import numpy as np
import pytest

from equiseg.report.points.render import render

RED, GREEN, BLUE = np.eye(3)
PAPER = (253, 253, 251)


def sheet(low, high, z, color, number=20_000, seed=0):
    """Points on a level rectangle between two corners."""
    random = np.random.default_rng(seed)
    xyz_N3 = np.column_stack([random.uniform(low, high, (number, 2)), np.full(number, float(z))])
    return xyz_N3, np.tile(color, (number, 1))


def joined(*sheets):
    return tuple(np.concatenate(parts) for parts in zip(*sheets, strict=True))


def room(ceiling=True):
    """A red floor between green walls, 4 m by 3 m, perhaps under a blue ceiling."""
    random = np.random.default_rng(1)
    walls = random.uniform((0, 0, 0), (4, 3, 2.5), (40_000, 3))
    side = random.integers(4, size=len(walls))
    walls[side < 2, 0] = 4.0 * side[side < 2]
    walls[side >= 2, 1] = 3.0 * (side[side >= 2] - 2)
    parts = [sheet((0, 0), (4, 3), 0, RED), (walls, np.tile(GREEN, (len(walls), 1)))]
    if ceiling:
        parts.append(sheet((0, 0), (4, 3), 2.5, BLUE))
    return joined(*parts)


def share(picture, color):
    """Of the picture's pixels, those of nothing but one colour, however dark."""
    others = picture[..., np.asarray(color) == 0]
    return float(((others == 0).all(-1) & (picture.max(-1) > 0)).mean())


@pytest.mark.parametrize(("view", "number", "within"), [("above", 3000, 0), ("oblique", 99_999, 8)])
def test_level_ground_keeps_its_colour_and_closes(view, number, within):
    xyz_N3, _ = sheet((0, 0), (10, 10), 0, RED, number)
    rgb_N3 = np.full((number, 3), (10, 120, 200), dtype=np.uint8)
    picture = render(xyz_N3, rgb_N3, view=view, size=200)
    height, width, _ = picture.shape
    middle = picture[height // 2 - 30 : height // 2 + 30, width // 2 - 30 : width // 2 + 30]
    assert picture.dtype == np.uint8
    off = np.abs(middle.astype(int) - (10, 120, 200)).max(-1)
    assert (off <= within).mean() > 0.98


def test_the_nearest_point_hides_those_below():
    cloud = joined(sheet((0, 0), (1, 1), 0, RED), sheet((0, 0), (1, 1), 1, GREEN, number=5000))
    picture = render(*cloud, view="above", size=100, cut=None)
    assert share(picture, GREEN) > 0.9
    upside_down = render(cloud[0] * (1, 1, -1), cloud[1], view="above", size=100, cut=None)
    assert share(upside_down, RED) > 0.9


def test_order_and_a_far_origin_change_nothing():
    xyz_N3, rgb_N3 = room(ceiling=False)
    picture = render(xyz_N3, rgb_N3, size=120)
    order = np.random.default_rng(2).permutation(len(xyz_N3))
    # Which points are sampled for the extent follows the order, by a hair.
    shuffled = render(xyz_N3[order], rgb_N3[order], size=picture.shape[:2])
    far = render(xyz_N3 + np.array([7e5, 6.6e6, 100]), rgb_N3, size=picture.shape[:2])
    for other in (shuffled, far):
        assert np.abs(other.astype(int) - picture).mean() < 2


def test_north_is_up_and_east_is_right():
    cloud = joined(
        sheet((0, 0), (10, 5), 0, RED),
        sheet((0, 5), (5, 10), 0, GREEN, number=10_000),
        sheet((5, 5), (10, 10), 0, BLUE, number=10_000),
    )
    picture = render(*cloud, view="above", size=(80, 80))
    assert picture[15, 15].argmax() == 1
    assert picture[15, 65].argmax() == 2
    assert picture[65, 40].argmax() == 0


def test_the_aspect_is_kept_in_any_size():
    xyz_N3, rgb_N3 = sheet((0, 0), (40, 10), 0, RED)
    assert abs(render(xyz_N3, rgb_N3, view="above", size=200).shape[0] - 50) <= 1
    picture = render(xyz_N3, rgb_N3, view="above", size=(100, 100))
    rows, columns = np.nonzero((picture == (255, 0, 0)).all(-1))
    assert picture.shape == (100, 100, 3)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(4, rel=0.1)
    assert tuple(picture[5, 5]) == PAPER


def test_a_point_far_away_does_not_shrink_the_picture():
    xyz_N3, rgb_N3 = sheet((0, 0), (1, 1), 0, RED)
    xyz_N3[0] = (500, 500, 0)
    assert share(render(xyz_N3, rgb_N3, view="above", size=50), RED) > 0.7


def test_a_ceiling_is_hidden():
    picture = render(*room(), view="above", size=120)
    assert share(picture, RED) > 0.6
    assert share(picture, BLUE) == 0
    assert share(render(*room(), view="above", size=120, cut=None), BLUE) > 0.8


def test_walls_before_a_room_are_hidden():
    with_walls = share(render(*room(), size=160, cut=0.9), RED)
    assert share(render(*room(), size=160), RED) > 1.5 * with_walls > 0


def test_roofs_and_trees_are_no_ceiling():
    # Half the town lies under roofs, but no scanner looks beneath them.
    town = joined(sheet((0, 0), (5, 10), 0, RED), sheet((5, 0), (10, 10), 9, GREEN))
    assert share(render(*town, view="above", size=80), GREEN) > 0.4


def test_a_cut_is_a_share_of_the_height():
    cloud = joined(*(sheet((0, 0), (1, 1), z, c) for z, c in ((0, RED), (1, GREEN), (2, BLUE))))
    shown = {cut: render(*cloud, view="above", size=40, cut=cut) for cut in (0.2, 0.7, 1.0)}
    for picture, color in zip(shown.values(), (RED, GREEN, BLUE), strict=True):
        assert share(picture, color) > 0.9


def test_hollows_and_slopes_are_shaded():
    xyz_N3, _ = sheet((0, 0), (10, 10), 0, RED)
    xyz_N3[:, 2] = np.abs(xyz_N3[:, 0] - 5)
    picture = render(xyz_N3, np.full(xyz_N3.shape, 0.5), view="above", size=100).astype(int)
    left, bottom, right = (picture[40:60, at].mean() for at in (25, 50, 75))
    assert bottom < max(left, right)
    assert abs(left - right) > 10  # lit from one side
    assert abs(picture[40:60, 20:30] - left).max() < 40


def test_point_size_is_a_diameter_in_pixels():
    for size in (6, 12, 30):
        picture = render(
            np.zeros((1, 3)), np.zeros((1, 3)), view="above", size=(80, 80), point_size=size
        )
        assert (picture.mean(-1) < 128).sum() == pytest.approx(np.pi / 4 * size**2, rel=0.1)


@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("view", ["above", "oblique"])
def test_few_points_stay_dots(number, view):
    xyz_N3 = np.random.default_rng(number).uniform(0, 1, (number, 3))
    picture = render(xyz_N3, np.zeros((number, 3)), view=view, size=(160, 160))
    dark = (picture.mean(-1) < 128).mean()
    assert 0 < dark < 0.02 * number


def test_the_background_is_the_one_asked_for():
    picture = render(np.eye(3), np.zeros((3, 3)), size=(60, 60), background="#102030")
    assert tuple(picture[0, 0]) == (16, 32, 48)


def test_wrong_arguments_are_named():
    xyz_N3, rgb_N3 = np.zeros((2, 3)), np.zeros((2, 3))
    broken = np.array([[0, 0, np.nan], [1, 1, 1]])
    for arguments, options, message in (
        ((np.zeros((0, 3)), np.zeros((0, 3))), {}, "at least one point"),
        ((xyz_N3, rgb_N3[:1]), {}, r"rgb_N3 must be \(2, 3\)"),
        ((xyz_N3, rgb_N3 + 200), {}, "got 200.0 to 200.0"),
        ((broken, rgb_N3), {}, "1 points that are not finite"),
        ((xyz_N3, rgb_N3), {"view": "below"}, "view must be"),
        ((xyz_N3, rgb_N3), {"point_size": 0}, "point_size must be positive"),
        ((xyz_N3, rgb_N3), {"cut": 1.5}, "cut must be above 0"),
        ((xyz_N3, rgb_N3), {"size": 0}, "size must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            render(*arguments, **options)
