"""Class statistics: counts, imbalance factors, prior."""

import math

import numpy as np
import pytest
import torch

from equiseg.imbalance import ClassStatistics

MAPS = [
    torch.tensor([[0, 0, 0], [0, 1, 255]]),
    torch.tensor([[0, 0], [0, 2]], dtype=torch.uint8),
    torch.tensor([0, 0, 1, 1]),
    torch.full((2, 2, 2), 255),
]


def test_pixels_and_images_of_each_class():
    statistics = ClassStatistics.from_labels(iter(MAPS), 4)
    assert statistics.pixels_K.tolist() == [9, 3, 1, 0]
    assert statistics.images_K.tolist() == [3, 2, 1, 0]
    assert statistics.num_images == 4
    assert statistics.pixels_K.dtype == statistics.images_K.dtype == torch.int64


def test_imbalance_is_measured_over_the_classes_that_occur():
    statistics = ClassStatistics.from_labels(MAPS, 4)
    assert (statistics.pixel_imbalance, statistics.image_imbalance) == (9, 3)
    nothing = ClassStatistics.from_labels([], 4)
    assert math.isnan(nothing.pixel_imbalance)
    assert math.isnan(nothing.image_imbalance)


def test_the_prior_is_the_share_of_images_that_hold_a_class():
    prior = ClassStatistics.from_labels(MAPS, 4).image_prior()
    assert prior.tolist() == [3 / 4, 2 / 4, 1 / 4, 0.5 / 4]
    assert ClassStatistics.from_labels([], 3).image_prior().log().isfinite().all()


def test_counts_agree_with_numpy_on_another_ignore_index():
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randint(-1, 30, (17, 23), generator=generator) for _ in range(5)]
    statistics = ClassStatistics.from_labels(maps, 30, ignore_index=-1)
    rows = np.array([np.bincount(m[m >= 0].numpy(), minlength=30) for m in maps])
    np.testing.assert_array_equal(statistics.pixels_K, rows.sum(0))
    np.testing.assert_array_equal(statistics.images_K, (rows > 0).sum(0))


def test_labels_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match=r"labels must be class ids 0\.\.3 .* got 4, 9 in 2 of 3"):
        ClassStatistics.from_labels([*MAPS, torch.tensor([1, 4, 9])], 4)
    with pytest.raises(TypeError, match=r"labels must be integer class ids, got dtype torch\.floa"):
        ClassStatistics.from_labels([torch.zeros(3)], 4)
