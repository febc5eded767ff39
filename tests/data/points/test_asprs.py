import re

from equiseg.data.points.asprs import ASPRS_COLORS


def test_every_standard_class_has_a_colour_of_its_own():
    assert list(ASPRS_COLORS) == list(range(23))
    assert len(set(ASPRS_COLORS.values())) == 23
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in ASPRS_COLORS.values())


def test_colours_are_what_one_expects():
    ground, tree, building, water = (ASPRS_COLORS[code] for code in (2, 5, 6, 9))
    red, green, blue = (
        [int(c[i : i + 2], 16) for c in (ground, tree, building, water)] for i in (1, 3, 5)
    )
    assert max(tree_rgb := (red[1], green[1], blue[1])) == tree_rgb[1]
    assert red[2] > green[2] + 100
    assert blue[3] > red[3] + 100
    assert red[0] > green[0] > blue[0]
