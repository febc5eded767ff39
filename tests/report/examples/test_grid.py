import numpy as np
import pytest

from equiseg.report.colors import class_colors
from equiseg.report.examples.grid import classes_seen, example_figure


def test_rare_classes_have_their_full_color_and_an_outline():
    labels = np.zeros((64, 64), dtype=np.uint8)
    labels[16:48, 16:48] = 2
    labels[60:] = 255
    image = np.full((64, 64, 3), 100, dtype=np.uint8)
    missed = np.zeros((64, 64), dtype=np.int64)
    figure = example_figure(
        [image], [labels], {"ceco": [missed]}, ["a", "b", "c"], highlight=[2], order=[0, 1, 2]
    )
    photo, truth, predicted = (axes.images[0].get_array() for axes in figure.axes)
    assert truth[240, 240].tolist() == class_colors(3)[2].tolist()
    for picture in (photo, truth, predicted):
        assert np.all(picture[240, 119] == 20)  # just outside the labelled square
    assert photo[240, 240].tolist() == [100, 100, 100]
    assert predicted[240, 240].tolist() == predicted[24, 24].tolist()  # missed: as around it
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["a", "c"]  # b is nowhere to be seen


def test_lists_of_different_lengths_are_refused():
    image, labels = np.zeros((8, 8, 3)), np.zeros((8, 8))
    with pytest.raises(ValueError, match="one length"):
        example_figure([image], [labels], {"ceco": []}, ["a"], [0], [0])


def test_the_legend_has_every_highlighted_class_that_is_seen_at_all():
    mask = np.zeros((64, 64), dtype=np.int64)
    mask[0, :2] = [1, 2]
    assert classes_seen([mask], order=[0, 1, 2, 3], highlight=[2, 3]) == [0, 2]
