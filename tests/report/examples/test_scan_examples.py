import numpy as np
import pytest
import torch

from equiseg.data.points.sample import PointSample
from equiseg.report.colors import class_colors
from equiseg.report.examples.scan_grid import scan_example_figure

CLASSES = ("floor", "wall", "mug")
RGB = ("red", "green", "blue")


def scan(channels: int = 3) -> PointSample:
    """A floor of two classes, a few points of it not labelled."""
    generator = torch.Generator().manual_seed(0)
    xyz_N3 = torch.rand(2000, 3, generator=generator) * torch.tensor([2.0, 2.0, 0.01])
    labels_N = torch.where(xyz_N3[:, 0] > 1, 2, 0)
    labels_N[:20] = 255
    return PointSample(xyz_N3, torch.rand(2000, channels, generator=generator), labels_N, "s")


def pictures(figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def test_a_row_holds_the_scan_its_labels_and_every_prediction():
    sample = scan()
    predictions = {"a": [torch.zeros(2000, dtype=torch.int64)], "b": [sample.labels_N]}
    figure = scan_example_figure([sample], predictions, CLASSES, [2], [0, 1, 2], RGB)
    assert [axes.get_title("left") for axes in figure.axes[:4]] == ["scan", "labels", "a", "b"]
    shown = pictures(figure)
    assert len({picture.shape for picture in shown[:4]}) == 1
    assert np.array_equal(shown[1], shown[3])
    assert not np.array_equal(shown[1], shown[2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["floor", "mug"]


def test_the_row_below_tells_right_from_wrong():
    sample = scan()
    wrong = torch.where(sample.labels_N == 2, 0, sample.labels_N)
    predictions = {"wrong": [wrong], "right": [sample.labels_N]}
    figure = scan_example_figure([sample], predictions, CLASSES, [2], [0, 1, 2], RGB)
    wrong_share, right_share = (
        (picture[..., 0].astype(int) - picture[..., 1] > 100).mean()
        for picture in pictures(figure)[6:]
    )
    assert 0.4 < wrong_share < 0.6
    assert right_share == 0


def test_highlighted_classes_have_their_full_colour():
    shown = pictures(scan_example_figure([scan()], {}, CLASSES, [2], [0, 1, 2], RGB))[1]
    colors_K3 = class_colors(3).numpy()
    distance = np.abs(shown.reshape(-1, 1, 3).astype(int) - colors_K3).sum(-1)
    near_K = (distance < 20).sum(0)
    assert near_K[2] > 500
    assert near_K[0] == near_K[1] == 0


def test_a_scan_without_colours_is_shown_by_height():
    sample = scan(1)
    sample.xyz_N3[:, 2] = sample.xyz_N3[:, 0]
    coloured = pictures(scan_example_figure([sample], {}, CLASSES, [2], [0], ("intensity",)))[0]
    assert coloured.std() > 20


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"must be of one length, got \{.*\}"):
        scan_example_figure([scan()], {"a": []}, CLASSES, [2], [0], RGB)
