"""ImageScore against IoUs computed image by image and class by class."""

import math

import numpy as np
import pytest
import torch

from equiseg import ImageScore

K = 4


def images(seed, number=7):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, K, (number, 6, 5), generator=generator)
    labels[0] = labels[0].clamp(max=1)  # lacks classes
    right = torch.rand(labels.shape, generator=generator) < 0.6
    predictions = torch.where(right, labels, torch.randint(0, K, labels.shape, generator=generator))
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
    labels[1] = 255
    return predictions, labels


def test_scores_equal_those_of_each_image():
    predictions, labels = images(0, 41)
    score = ImageScore(K)
    score.update(predictions[:3], labels[:3])
    score.update(predictions[3:], labels[3:])
    result = score.compute()
    table = np.full((len(labels), K), math.nan)
    for i, (guess, truth) in enumerate(zip(predictions.numpy(), labels.numpy(), strict=True)):
        for k in range(K):
            if (truth == k).any():
                both = (guess == k) & (truth == k)
                either = ((guess == k) & (truth != 255)) | (truth == k)
                table[i, k] = both.sum() / either.sum()
    means = sorted(np.nanmean(row) for row in table if not np.isnan(row).all())
    assert len(means) == 40
    np.testing.assert_allclose(result.miou_I, means)
    np.testing.assert_allclose(result.iou_K, np.nanmean(table, 0))
    assert result.miou == pytest.approx(np.mean(means))
    assert result.worst_25 == pytest.approx(np.mean(means[:10]))
    assert result.worst_5 == pytest.approx(np.mean(means[:2]))
    assert result.class_miou == pytest.approx(np.nanmean(table, 0).mean())
    assert result.images_K.tolist() == (~np.isnan(table)).sum(0).tolist()


def test_one_image_is_the_worst_of_few():
    predictions, labels = images(1, 3)
    score = ImageScore(K)
    score.update(predictions, labels)
    result = score.compute()
    assert result.worst_5 == result.worst_25 == result.miou_I[0]


def test_a_scan_is_an_image():
    predictions, labels = images(2)
    maps, scans = ImageScore(K), ImageScore(K)
    maps.update(predictions, labels)
    for guess, truth in zip(predictions, labels, strict=True):
        scans.update(guess.flatten(), truth.flatten())
    assert repr(maps.compute()) == repr(scans.compute())
