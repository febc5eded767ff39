import hashlib

import numpy as np
import pytest

from equiseg.report.colors import class_colors


def test_colors_are_bytes_and_all_different():
    colors = class_colors(200)
    assert colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == 200


def test_more_classes_start_with_the_same_colors():
    assert np.array_equal(class_colors(44)[:11], class_colors(11))


def test_a_dozen_colors_are_far_apart():
    colors = class_colors(12).astype(float)
    gaps = np.linalg.norm(colors[:, None] - colors, axis=-1) + 1e3 * np.eye(12)
    assert gaps.min() > 50


@pytest.mark.parametrize("num_classes", [0, 10**6])
def test_impossible_numbers_are_refused(num_classes):
    with pytest.raises(ValueError, match=f"num_classes must be .* got {num_classes}"):
        class_colors(num_classes)


def test_the_first_colors_are_the_ones_that_pictures_on_disk_have():
    first = [[73, 121, 170], [255, 206, 49], [158, 24, 12], [255, 182, 255]]
    assert class_colors(4).tolist() == first
    digest = hashlib.sha256(class_colors(200).tobytes()).hexdigest()
    assert digest.startswith("e5e56a64f94d9ee5a13a3ea58da9e67f")


def test_chosen_colors_are_kept_and_others_differ_from_them():
    colors = class_colors(5, ["#a0693c", None, "#1e7832"])
    assert colors[0].tolist() == [160, 105, 60]
    assert colors[2].tolist() == [30, 120, 50]
    gaps = np.linalg.norm(colors[:, None].astype(float) - colors, axis=-1) + 1e3 * np.eye(5)
    assert gaps.min() > 50
    assert np.array_equal(class_colors(5, [None] * 5), class_colors(5))
