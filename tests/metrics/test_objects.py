"""ObjectScore against objects found and matched pixel by pixel, and against torchmetrics."""

import itertools
import math

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality

from equiseg import ObjectScore
from equiseg.imbalance.connected import map_regions

K = 4
LIMITS = (4, 12)


def maps(seed, *shape, ignored=0.1):
    """Labels, and predictions that repeat them with errors."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, [-(-side // 2) for side in shape])
    for axis in range(labels.ndim):
        labels = labels.repeat(2, axis)
    labels = labels[tuple(slice(side) for side in shape)]
    predictions = np.where(rng.random(shape) < 0.15, rng.integers(0, K, shape), labels)
    labels = np.where(rng.random(shape) < ignored, 255, labels)
    return torch.from_numpy(predictions), torch.from_numpy(labels)


def objects_of(values):
    """The objects of a map by the definition: class and set of places."""
    left = {place: int(value) for place, value in np.ndenumerate(values.numpy()) if value < K}
    objects = []
    while left:
        place, value = left.popitem()
        region, border = {place}, [place]
        while border:
            for offset in itertools.product((-1, 0, 1), repeat=values.ndim):
                other = tuple(a + b for a, b in zip(border[0], offset, strict=True))
                if left.get(other) == value:
                    del left[other]
                    region.add(other)
                    border.append(other)
            border.pop(0)
        objects.append((value, frozenset(region)))
    return objects


def size_of(region):
    return sum(len(region) >= limit for limit in LIMITS)


def slow(pairs):
    """Counts by class and size: found, missed, matched, false; and the sums of IoUs."""
    counts, ious = np.zeros((4, K, len(LIMITS) + 1), int), np.zeros(K)
    for predictions, labels in pairs:
        known = set(map(tuple, np.argwhere(labels.numpy() < K).tolist()))
        truths, guesses = objects_of(labels), objects_of(predictions)
        matched = set()
        for k, truth in truths:
            best = max(
                (
                    (len(truth & guess) / len(truth | (guess & known)), number)
                    for number, (other, guess) in enumerate(guesses)
                    if other == k
                ),
                default=(0, None),
            )
            counts[int(best[0] <= 0.5), k, size_of(truth)] += 1
            if best[0] > 0.5:
                ious[k] += best[0]
                matched.add(best[1])
        for number, (k, guess) in enumerate(guesses):
            if number in matched:
                counts[2, k, size_of(guess)] += 1
            elif 2 * len(guess - known) <= len(guess):
                counts[3, k, size_of(guess)] += 1
    return counts, ious


def ratio(part, whole):
    with np.errstate(invalid="ignore"):
        return np.asarray(part) / np.asarray(whole, float)


@pytest.mark.parametrize("shape", [(40,), (13, 17), (1, 9), (4, 6, 7)])
@pytest.mark.parametrize("ignored", [0, 0.1, 0.6])
def test_counts_equal_objects_found_pixel_by_pixel(shape, ignored):
    pairs = [maps(seed, *shape, ignored=ignored) for seed in range(4)]
    score = ObjectScore(K, size_limits=LIMITS)
    for predictions, labels in pairs:
        score.update(predictions[None], labels[None])
    result = score.compute()
    (found, missed, matched, false), ious = slow(pairs)
    tp, fn, fp = found.sum(1), missed.sum(1), false.sum(1)
    np.testing.assert_array_equal(matched.sum(1), tp)
    np.testing.assert_allclose(result.recall_K, ratio(tp, tp + fn))
    np.testing.assert_allclose(result.precision_K, ratio(tp, tp + fp))
    np.testing.assert_allclose(result.f1_K, ratio(tp, tp + (fn + fp) / 2))
    np.testing.assert_allclose(result.overlap_K, ratio(ious, tp), rtol=1e-8)
    np.testing.assert_allclose(result.quality_K, ratio(ious, tp + (fn + fp) / 2), rtol=1e-8)
    np.testing.assert_array_equal(result.objects_K, tp + fn)
    np.testing.assert_allclose(result.recall_S, ratio(found.sum(0), (found + missed).sum(0)))
    np.testing.assert_allclose(result.precision_S, ratio(matched.sum(0), (matched + false).sum(0)))
    np.testing.assert_array_equal(result.objects_S, (found + missed).sum(0))


def test_panoptic_quality_equals_torchmetrics_where_each_region_is_an_instance():
    peer = PanopticQuality(set(range(K)), set(), return_sq_and_rq=True, return_per_class=True)
    score = ObjectScore(K)
    for seed in range(6):
        pair = maps(seed, 24, 31, ignored=0)
        score.update(*(ids[None] for ids in pair))
        with_instances = []
        for ids in pair:
            regions = map_regions(ids.numpy(), K)
            sizes = np.diff(regions.places_R, append=regions.num_places)
            instances = np.repeat(regions.regions_R, sizes).reshape(ids.shape)
            with_instances.append(torch.stack([ids, torch.from_numpy(instances)], -1)[None])
        peer.update(*with_instances)
    result = score.compute()
    expected = peer.compute()  # (1, K, 3) or (K, 3): PQ, SQ, RQ
    found = torch.stack([result.quality_K, result.overlap_K, result.f1_K], -1)
    torch.testing.assert_close(found.float(), expected.reshape(K, 3).float(), atol=1e-6, rtol=0)


def test_voxels_are_objects_in_their_scan():
    pairs = [maps(seed, 4, 5, 6) for seed in range(2)]
    expected = ObjectScore(K)
    coordinates, predictions, labels = [], [], []
    for scan, (guess, truth) in enumerate(pairs):
        expected.update(guess[None], truth[None])
        places = torch.from_numpy(np.argwhere(np.ones(truth.shape)))
        order = torch.randperm(len(places), generator=torch.Generator().manual_seed(scan))
        coordinates.append(torch.cat([torch.full((len(places), 1), scan), places], 1)[order])
        predictions.append(guess.flatten()[order])
        labels.append(truth.flatten()[order])
    score = ObjectScore(K)
    score.update(torch.cat(predictions), torch.cat(labels), torch.cat(coordinates))
    assert repr(score.compute()) == repr(expected.compute())


def test_a_match_must_be_above_one_half():
    labels = torch.tensor([[1, 1, 0, 0, 0]])
    for predictions, recall in (([1, 0, 0, 0, 0], 0), ([1, 1, 1, 0, 0], 1)):
        score = ObjectScore(2)
        score.update(torch.tensor([predictions]), labels)
        assert score.compute().recall_K[1] == recall


def test_false_objects_that_lie_mostly_without_a_label_are_not_counted():
    labels = torch.tensor([[0, 0, 255, 255, 0]])
    for predictions, precision in (([0, 1, 1, 1, 0], math.nan), ([1, 1, 1, 1, 0], 0)):
        score = ObjectScore(2)
        score.update(torch.tensor([predictions]), labels)
        assert score.compute().precision_K[1] == pytest.approx(precision, nan_ok=True)


def test_regions_of_the_labels_are_found_once(monkeypatch):
    calls = []

    def counted(ids, num_classes):
        calls.append(ids)
        return map_regions(ids, num_classes)

    monkeypatch.setattr("equiseg.metrics.object_counts.map_regions", counted)
    score = ObjectScore(K)
    predictions, labels = maps(0, 10, 10)
    for _ in range(3):
        score.update(torch.stack([predictions, predictions.T]), torch.stack([labels, labels.T]))
        score.compute()
        score.reset()
    assert len(calls) == 2 + 3 * 2  # labels once, predictions each time


@pytest.mark.parametrize("limits", [(0, 5), (5, 5), (9, 4)])
def test_sizes_must_ascend(limits):
    with pytest.raises(ValueError, match="size_limits must ascend from above 0"):
        ObjectScore(K, size_limits=limits)


def test_voxels_need_their_places():
    ids = torch.zeros(6, dtype=torch.int64)
    with pytest.raises(ValueError, match="coordinates are needed for labels"):
        ObjectScore(K).update(ids, ids)
    with pytest.raises(ValueError, match=r"integers \(V, 4\) for labels \(V,\), got torch.float32"):
        ObjectScore(K).update(ids, ids, torch.rand(6, 4))
    with pytest.raises(ValueError, match="one to three spatial dimensions"):
        ids = torch.zeros(1, 2, 2, 2, 2, dtype=torch.int64)
        ObjectScore(K).update(ids, ids)
