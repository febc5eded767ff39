"""BoundaryScore against erosion of one mask at a time, as in the paper's definition."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from equiseg import BoundaryScore

K = 3


def maps(seed, *shape):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, [-(-side // 6) for side in shape])
    for axis in range(labels.ndim):
        labels = labels.repeat(6, axis)
    labels = labels[tuple(slice(side) for side in shape)]
    predictions = np.roll(labels, 2, -1)
    return predictions, np.where(rng.random(shape) < 0.02, 255, labels)


def band(mask, distance):
    """The pixels of a mask that erosion by a square removes; outside of the image is nothing."""
    square = np.ones((3,) * mask.ndim, bool)
    return mask & ~ndimage.binary_erosion(mask, square, iterations=distance, border_value=0)


@pytest.mark.parametrize(
    ("shape", "distance"), [((30,), 0.02), ((25, 40), 0.02), ((25, 40), 0.1), ((9, 12, 14), 0.1)]
)
def test_scores_equal_erosion_of_each_mask(shape, distance):
    hits, unions = np.zeros(K), np.zeros(K)
    score = BoundaryScore(K, distance=distance)
    pixels = max(1, round(distance * float(np.linalg.norm(shape))))
    for seed in range(4):
        predictions, labels = maps(seed, *shape)
        score.update(torch.from_numpy(predictions)[None], torch.from_numpy(labels)[None])
        known = labels != 255
        for k in range(K):
            truth = band(labels == k, pixels)
            guess = band((predictions == k) & known, pixels)
            hits[k] += (truth & guess).sum()
            unions[k] += (truth | guess).sum()
    np.testing.assert_allclose(score.compute().iou_K, hits / unions)


def test_an_outline_matters_more_than_in_the_iou():
    labels = torch.zeros(1, 100, 100, dtype=torch.int64)
    labels[:, 20:80, 20:80] = 1
    predictions = torch.zeros_like(labels)
    predictions[:, 22:78, 22:78] = 1
    score = BoundaryScore(2)
    score.update(predictions, labels)
    assert score.compute().iou_K[1] < 0.3
    assert (56 / 60) ** 2 > 0.85


def test_points_are_refused():
    ids = torch.zeros(6, dtype=torch.int64)
    with pytest.raises(ValueError, match="points have no boundaries"):
        BoundaryScore(K).update(ids, ids)


@pytest.mark.parametrize("distance", [0, 1, -0.1])
def test_the_distance_is_a_share(distance):
    with pytest.raises(ValueError, match="distance must be a share of the diagonal"):
        BoundaryScore(K, distance=distance)
