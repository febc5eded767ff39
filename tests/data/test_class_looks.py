"""How classes are written and drawn."""

import pytest

from equiseg.data.class_looks import ClassLooks
from equiseg.data.errors import DataError
from equiseg.data.image_card import ImageCard
from equiseg.data.point_card import PointCard
from equiseg.data.points.asprs import ASPRS_COLORS


def image_card(**fields) -> ImageCard:
    values = {"name": "t", "classes": {7: "road", 19: "car", 20: "car"}, "splits": {"train": "t"}}
    return ImageCard(**values | fields)


def test_the_first_value_of_a_class_is_written():
    looks = image_card(background="car").looks()
    assert looks == ClassLooks((7, 19), (None, None), background=1)


def test_colours_of_the_card():
    assert image_card(colors={"car": "#0000FF"}).looks().colors == (None, "#0000FF")


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ({"cat": "#0000ff"}, "'cat' is not one of the classes"),
        ({"car": None}, r'car must be a colour in quotes, as "#1f77b4", got None'),
        ({"car": "blue"}, "got 'blue'"),
        (["#0000ff"], "must map names of classes to colours"),
    ],
)
def test_colours_that_cannot_work(colors, message):
    with pytest.raises(DataError, match=message):
        image_card(colors=colors)


def test_las_has_the_colours_of_its_standard():
    card = PointCard(
        name="t",
        form="las",
        points="*.las",
        splits={"train": ""},
        classes={2: "ground", 6: "building", 66: "mine"},
        colors={"building": "#000001"},
    )
    assert card.looks() == ClassLooks((2, 6, 66), (ASPRS_COLORS[2], "#000001", None))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"values": [0], "colors": [None, None]},
        {"values": [0, "1"], "colors": [None, None]},
        {"values": [0, 1], "colors": ["red", None]},
        {"values": [0, 1], "colors": [None, None], "background": 2},
    ],
)
def test_a_damaged_header_is_refused(values):
    with pytest.raises(ValueError, match=r"looks\."):
        ClassLooks.from_mapping(values, 2)
