"""Class statistics: counts, imbalance factors, prior."""

import itertools
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
    assert prior.tolist() == [3 / 4, 2 / 4, 1 / 4, 3 / 4]
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


def test_centers_per_batch_are_the_share_of_batches_with_the_class():
    maps = [torch.tensor([0]), torch.tensor([0, 1]), torch.tensor([0, 1, 2]), torch.tensor([0])]
    statistics = ClassStatistics.from_labels([*maps, torch.tensor([1])], 4)
    images_with = [{0, 1, 2, 3}, {1, 2, 4}, {2}, set()]
    for batch_size in range(1, 6):
        batches = list(itertools.combinations(range(5), batch_size))
        expected = [
            sum(bool(images & set(batch)) for batch in batches) / len(batches)
            for images in images_with
        ]
        centers_K = statistics.centers_per_batch(batch_size)
        assert centers_K.tolist() == pytest.approx(expected, rel=1e-14)
        present = [share for share in expected if share]
        assert statistics.center_imbalance(batch_size) == pytest.approx(max(present) / min(present))
    assert statistics.centers_per_batch(99).tolist() == [1, 1, 1, 0]  # all the images there are


def test_centers_per_batch_keep_the_digits_of_a_rare_class():
    statistics = ClassStatistics(torch.ones(3).long(), torch.tensor([1, 2, 10**6]), 10**6)
    b, N = 16, 10**6
    expected = [b / N, 1 - (N - b) * (N - b - 1) / (N * (N - 1)), 1]
    assert statistics.centers_per_batch(b).tolist() == pytest.approx(expected, rel=1e-10)


def test_a_batch_of_one_image_has_the_imbalance_of_images():
    statistics = ClassStatistics.from_labels(MAPS, 4)
    assert statistics.center_imbalance(1) == pytest.approx(statistics.image_imbalance, rel=1e-14)
    assert statistics.center_imbalance(4) == 1


def test_batches_without_images_are_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1 image, got 0"):
        ClassStatistics.from_labels(MAPS, 4).centers_per_batch(0)
    assert ClassStatistics.zeros(3).centers_per_batch(4).tolist() == [0, 0, 0]
