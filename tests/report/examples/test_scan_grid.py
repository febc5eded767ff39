import numpy as np
import pytest

from equiseg.report.colors import class_colors
from equiseg.report.examples.scan_grid import scan_example_figure

CLASSES = ("floor", "wall", "mug")


def scan():
    """A floor of two classes, a few points of it not labelled: coordinates, colours, labels."""
    rng = np.random.default_rng(0)
    xyz_N3 = (rng.random((2000, 3)) * [2.0, 2.0, 0.01]).astype(np.float32)
    labels_N = np.where(xyz_N3[:, 0] > 1, 2, 0).astype(np.uint8)
    labels_N[:20] = 3
    return xyz_N3, rng.integers(0, 256, (2000, 3), dtype=np.uint8), labels_N


def drawn(predictions, order=(0, 1, 2), colours=None):
    xyz_N3, rgb_N3, labels_N = scan()
    colours = rgb_N3 if colours is None else colours
    return scan_example_figure([xyz_N3], [colours], [labels_N], predictions, CLASSES, [2], order)


def pictures(figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def test_a_row_holds_the_scan_its_labels_and_every_prediction():
    *_, labels_N = scan()
    figure = drawn({"a": [np.zeros(2000, dtype=np.uint8)], "b": [labels_N]})
    assert [axes.get_title("left") for axes in figure.axes[:4]] == ["scan", "labels", "a", "b"]
    shown = pictures(figure)
    assert len({picture.shape for picture in shown[:4]}) == 1
    assert np.array_equal(shown[1], shown[3])
    assert not np.array_equal(shown[1], shown[2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["floor", "mug"]


def test_the_lower_row_shows_errors_in_red():
    *_, labels_N = scan()
    wrong_N = np.where(labels_N == 2, 0, labels_N)
    figure = drawn({"wrong": [wrong_N], "right": [labels_N]})
    wrong_share, right_share = (
        (picture[..., 0].astype(int) - picture[..., 1] > 100).mean()
        for picture in pictures(figure)[6:]
    )
    assert 0.4 < wrong_share < 0.6
    assert right_share == 0


def test_highlighted_classes_have_their_full_colour():
    shown = pictures(drawn({}))[1]
    colors_K3 = class_colors(3)
    distance = np.abs(shown.reshape(-1, 1, 3).astype(int) - colors_K3).sum(-1)
    near_K = (distance < 20).sum(0)
    assert near_K[2] > 500
    assert near_K[0] == near_K[1] == 0


def test_a_scan_without_colours_is_shown_by_height():
    heights_N = np.linspace(0, 255, 2000).astype(np.uint8)
    coloured = pictures(drawn({}, colours=heights_N))[0]
    assert coloured.std() > 20


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"must be of one length, got \{.*\}"):
        drawn({"a": []})
