import numpy as np
from PIL import Image

from equiseg.report.colors import class_colors
from equiseg.report.examples.overlays import legend, overlay, save_mask


def test_all_256_classes_are_coloured():
    colors = class_colors(256)
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = overlay(np.zeros((3, 16, 16), dtype=np.uint8), labels, colors, opacity=1.0)
    assert np.array_equal(np.moveaxis(shown, 0, -1).reshape(256, 3), colors)


def test_ids_without_a_colour_leave_the_image():
    image = np.full((3, 1, 2), 7, dtype=np.uint8)
    shown = overlay(image, np.array([[0, 255]]), class_colors(3), opacity=1.0)
    assert shown[:, 0, 1].tolist() == [7, 7, 7]


def test_a_mask_keeps_its_ids_and_gets_a_palette(tmp_path):
    labels, colors = np.array([[0, 2], [1, 1]]), class_colors(3)
    save_mask(labels, colors, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        assert np.asarray(picture).tolist() == labels.tolist()
        assert picture.getpalette()[:9] == colors.ravel().tolist()


def test_the_legend_is_a_picture(tmp_path):
    legend(("road", "car"), class_colors(2), tmp_path / "legend.png")
    with Image.open(tmp_path / "legend.png") as picture:
        assert picture.width > 50
