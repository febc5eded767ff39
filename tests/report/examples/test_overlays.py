import numpy as np
import torch

from equiseg.report.colors import class_colors
from equiseg.report.examples.overlays import overlay


def test_all_256_classes_are_coloured():
    colors = class_colors(256)
    labels = torch.arange(256, dtype=torch.uint8).view(16, 16)
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    shown = overlay(image, labels, colors, opacity=1.0)
    assert np.array_equal(np.moveaxis(shown, 0, -1).reshape(256, 3), colors)


def test_ids_without_a_colour_leave_the_image():
    image = torch.full((3, 1, 2), 7, dtype=torch.uint8)
    shown = overlay(image, torch.tensor([[0, 255]]), class_colors(3), opacity=1.0)
    assert shown[:, 0, 1].tolist() == [7, 7, 7]
