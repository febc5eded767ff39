import numpy as np
import pytest
import torch

from equiseg.report.colors import class_colors
from equiseg.report.examples.grid import choose_examples, example_figure


def test_every_rare_class_comes_up_before_one_comes_twice():
    much, little = torch.zeros(8, 8).long(), torch.zeros(8, 8).long()
    much[:4], little[0] = 1, 2
    nothing = torch.zeros(8, 8).long()
    assert choose_examples([nothing, much, much, little], rare=[1, 2], most=2) == [1, 3]


def test_images_without_rare_classes_are_not_shown():
    assert choose_examples([torch.zeros(8, 8).long()], rare=[1]) == []


def test_rare_classes_have_their_full_color_and_an_outline():
    labels = torch.zeros(64, 64, dtype=torch.uint8)
    labels[16:48, 16:48] = 2
    labels[60:] = 255
    image = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    missed = torch.zeros(64, 64).long()
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
    image, labels = torch.zeros(3, 8, 8), torch.zeros(8, 8)
    with pytest.raises(ValueError, match="one length"):
        example_figure([image], [labels], {"ceco": []}, ["a"], [0], [0])
