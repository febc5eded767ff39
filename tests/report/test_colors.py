import pytest
import torch

from equiseg.report.colors import class_colors


def test_colors_are_bytes_and_all_different():
    colors = class_colors(200)
    assert colors.dtype == torch.uint8
    assert len(colors.unique(dim=0)) == 200


def test_more_classes_start_with_the_same_colors():
    assert torch.equal(class_colors(44)[:11], class_colors(11))


def test_a_dozen_colors_are_far_apart():
    colors = class_colors(12).float()
    gaps = torch.cdist(colors, colors) + 1e3 * torch.eye(12)
    assert gaps.min() > 50


@pytest.mark.parametrize("num_classes", [0, 10**6])
def test_impossible_numbers_are_refused(num_classes):
    with pytest.raises(ValueError, match=f"num_classes must be .* got {num_classes}"):
        class_colors(num_classes)
