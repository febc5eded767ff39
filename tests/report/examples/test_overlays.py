import warnings

import numpy as np
import pytest
from PIL import Image

from equiseg.report.colors import class_colors
from equiseg.report.examples.overlays import _legend_text, legend, overlay, save_mask
from equiseg.report.fonts import is_drawable


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
    save_mask(labels, [0, 1, 2], colors, tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        assert np.asarray(picture).tolist() == labels.tolist()
        assert picture.getpalette()[:9] == colors.ravel().tolist()


def test_a_mask_holds_the_values_of_the_card(tmp_path):
    labels, colors = np.array([[0, 2], [1, 1]]), class_colors(3)
    save_mask(labels, [7, 0, 255], colors, tmp_path / "bytes.png")
    save_mask(labels, [7, 0, 40000], colors, tmp_path / "words.png")
    with Image.open(tmp_path / "bytes.png") as picture:
        assert np.asarray(picture).tolist() == [[7, 255], [0, 0]]
        assert picture.getpalette()[21:24] == colors[0].tolist()
    with Image.open(tmp_path / "words.png") as picture:
        assert np.asarray(picture).tolist() == [[7, 40000], [0, 0]]
    with pytest.raises(ValueError, match="--values index"):
        save_mask(labels, [0, 1, 70000], colors, tmp_path / "words.png")


def test_files_are_as_readable_as_others(tmp_path):
    (tmp_path / "usual").touch()
    save_mask(np.zeros((2, 2), int), [0], class_colors(1), tmp_path / "mask.png")
    assert (tmp_path / "mask.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_the_background_is_not_painted():
    image = np.full((3, 600, 2), 7, dtype=np.uint8)
    labels = np.tile([0, 1], (600, 1))
    shown = overlay(image, labels, class_colors(2), opacity=1.0, unpainted=0)
    assert (shown[:, :, 0] == 7).all()
    assert (shown[:, :, 1] == class_colors(2)[1][:, None]).all()


@pytest.mark.parametrize("names", [("road", "car"), ("a$b$ \\frac{", "[/bold]\x1b[31m", "x" * 200)])
def test_the_legend_is_a_picture(names, tmp_path):
    legend(names, range(len(names)), class_colors(len(names)), tmp_path / "legend.png")
    with Image.open(tmp_path / "legend.png") as picture:
        assert 50 < picture.width < 1500


def test_the_legend_of_very_many_classes_is_bounded(tmp_path):
    names = [f"class {k}" for k in range(1000)]
    legend(names, range(1000), class_colors(1000), tmp_path / "legend.png")
    with Image.open(tmp_path / "legend.png") as picture:
        assert picture.width < 2 * picture.height
        assert picture.height < 2000


def test_names_of_any_script_leave_a_legend_without_warnings(tmp_path):
    names = ["\u65e5\u672c", "\u0639\u0631\u0628\u064a", "\ue000", "", "  road "]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter without a font
        legend(names, [0, 7, 1000, 3, 4], class_colors(5), tmp_path / "legend.png")
    assert not is_drawable("\ue000")  # of private use
    assert is_drawable("caf\u00e9 \u0639")
    assert _legend_text(7, 4, "\ue000").endswith("\u20077\u200e  (see classes.csv)")
    assert _legend_text(4, 1, "  road ") == "\u200e4\u200e  road"
