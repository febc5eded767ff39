"""CollapseMetric: the measures of a whole data set, over batches, ranks and kinds of input."""

import copy
import math
import multiprocessing
import pickle
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from equiseg.collapse import ClassMoments, CollapseMeasures
from equiseg.metrics import CollapseMetric
from reference.slow_measures import slow_agreement, slow_measures
from reference.slow_moments import pixels_by_class

K, D = 5, 7


def batch(seed, cells=(4, 5), size=(9, 11), images=2, num_seen=K):
    """Features with a little of their class in them, a tenth of the labels ignored."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, num_seen, (images, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
    features = torch.randn(images, D, *cells, generator=generator, dtype=torch.float64)
    return features, labels


def points(seed, num=60):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, K, (num,), generator=generator)
    means = torch.randn(K, D, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    noise = torch.randn(num, D, generator=generator, dtype=torch.float64)
    labels[:3] = 255
    return means[labels.clamp(max=K - 1)] + 0.8 * noise, labels


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(D, K).double()


def counted(batches, classifier=None, **options):
    metric = CollapseMetric(K, D, classifier=classifier, **options)
    for features, labels in batches:
        metric.update(features, labels)
    return metric


def assert_same(measures, expected, tolerance=1e-10):
    numbers, others = measures.numbers(), expected.numbers()
    assert numbers.keys() == others.keys()
    for name, value in others.items():
        assert numbers[name] == pytest.approx(value, rel=tolerance, nan_ok=True), name


def moments_of(batches, **options):
    moments = ClassMoments.zeros(K, D, **options)
    for features, labels in batches:
        moments.update(features, labels)
    return moments


def agreement(features, labels, classifier, centers, **options):
    metric = CollapseMetric(K, D, classifier=classifier, centers=centers, **options)
    metric.update(features, labels)
    return metric.compute().nearest_center_agreement


def slow_share(pixels, labels, classifier, centers):
    weight, bias = classifier.weight.detach().flatten(1).numpy(), classifier.bias.detach().numpy()
    present = {k: center for k, center in enumerate(centers.numpy()) if center.any()}
    return slow_agreement(pixels.numpy(), labels.flatten().tolist(), weight, bias, present)


def test_batches_are_measured_as_one_list_of_pixels():
    batches = [batch(0), batch(1, (3, 4), (8, 8), images=1), batch(2, num_seen=3)]
    classifier = linear()
    by_batch = [pixels_by_class(*one, K) for one in batches]
    rows_of = [np.concatenate([rows[k] for rows in by_batch]) for k in range(K)]
    numbers = counted(batches, classifier).compute().numbers()
    expected = slow_measures(rows_of, classifier.weight.detach().numpy())
    del expected["margin"], expected["classifier_margin"]  # of no use here: computed when asked for
    assert "nearest_center_agreement" not in numbers
    assert numbers == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("options", [{"resolution": "feature"}, {"ignore_index": -1}])
def test_options_reach_the_moments(options):
    features, labels = batch(0)
    labels[labels == 255] = options.get("ignore_index", 255)
    metric = counted([(features, labels)], **options)
    expected = CollapseMeasures.of(moments_of([(features, labels)], **options))
    assert_same(metric.compute(), expected)


def test_corners_are_aligned_on_demand():
    features, labels = batch(0)
    moments = ClassMoments.zeros(K, D)
    moments.update(features, labels, align_corners=True)
    measures = counted([(features, labels)], align_corners=True).compute()
    assert_same(measures, CollapseMeasures.of(moments))
    assert measures.nc1_ratio != counted([(features, labels)]).compute().nc1_ratio


def test_voxels_count_their_points():
    features, _ = points(0)
    generator = torch.Generator().manual_seed(1)
    inverse = torch.randint(0, len(features), (200,), generator=generator)
    labels = torch.randint(0, K, (200,), generator=generator)
    classifier, centers = linear(), points(3)[0][:K]
    metric = CollapseMetric(K, D, classifier=classifier, centers=centers)
    metric.update(features, labels, inverse=inverse)
    expected = counted([(features[inverse], labels)], classifier, centers=centers)
    assert_same(metric.compute(), expected.compute())


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("cells", [(4, 5), (9, 11)])
def test_agreement_is_that_of_the_resized_features(cells, align_corners):
    features, labels = batch(0, cells)
    torch.manual_seed(0)
    classifier = nn.Conv2d(D, K, 1).double()
    centers = torch.randn(K, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    centers[3] = 0  # absent, though zero is near to every feature
    pixels = nn.functional.interpolate(
        features, labels.shape[1:], mode="bilinear", align_corners=align_corners
    )
    expected = slow_share(pixels.movedim(1, -1).reshape(-1, D), labels, classifier, centers)
    seen = agreement(features, labels, classifier, centers, align_corners=align_corners)
    assert 0.05 < expected < 0.95
    assert seen == expected


def test_agreement_of_points_over_batches():
    batches = [points(0), points(1, 90)]
    classifier = linear()
    centers = counted(batches).centers_KD
    metric = counted(batches, classifier, centers=centers)
    features, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = slow_share(features, labels, classifier, centers)
    assert metric.compute().nearest_center_agreement == pytest.approx(expected, rel=1e-12)


def test_the_nearest_center_itself_agrees_wholly_and_maps_of_any_dimension_count():
    for cells, size in (((6,), (13,)), ((3, 4), (8, 9)), ((2, 3, 2), (4, 6, 5))):
        features, labels = batch(0, cells, size)
        centers = points(2)[0][:K]
        nearest = nn.Linear(D, K).double()
        nearest.weight.data, nearest.bias.data = centers, -centers.square().sum(1) / 2
        assert agreement(features, labels, nearest, centers) == 1
        assert agreement(features.float(), labels, nearest, centers.float()) == 1


def test_half_precision_features_are_measured():
    features, labels = batch(0)
    coarse = features.bfloat16()
    centers = points(2)[0][:K]
    seen = counted([(coarse, labels)], linear(), centers=centers).compute()
    assert_same(seen, counted([(coarse.float(), labels)], linear(), centers=centers).compute())


def test_the_classifier_is_read_when_it_is_needed_and_is_no_part_of_the_metric():
    classifier = linear()
    metric = counted([points(0)], classifier)
    before = metric.compute().self_duality
    with torch.no_grad():
        classifier.weight.copy_(metric.centers_KD - metric.centers_KD.mean(0))
    assert before > 0.1
    assert metric.compute().self_duality == pytest.approx(0, abs=1e-12)
    assert list(metric.parameters()) == list(metric.children()) == []
    assert not any("weight" in name for name in metric.state_dict())


def test_rows_may_be_a_tensor():
    classifier = linear()
    rows = classifier.weight.detach()
    of_module = counted([points(0)], classifier).compute()
    assert_same(counted([points(0)], rows).compute(), of_module)


def test_reset_forgets():
    centers = points(2)[0][:K]
    metric = counted([points(0)], linear(), centers=centers)
    metric.compute()
    metric.reset()
    metric.update(*points(1))
    assert_same(metric.compute(), counted([points(1)], linear(), centers=centers).compute())


def test_calling_the_metric_measures_the_batch_and_counts_it():
    metric = CollapseMetric(K, D, classifier=linear(), centers=points(2)[0][:K])
    for seed in range(2):
        alone = counted([points(seed)], linear(), centers=points(2)[0][:K]).compute()
        assert_same(metric(*points(seed)), alone)
    both = counted([points(0), points(1)], linear(), centers=points(2)[0][:K]).compute()
    assert_same(metric.compute(), both)


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_is_independent(copied):
    metric = counted([points(0)], linear())
    first = metric.compute()
    twin = copied(metric)
    twin.update(*points(1))
    assert_same(twin.compute(), counted([points(0), points(1)], linear()).compute())
    assert_same(metric.compute(), first)


def test_counts_made_in_inference_mode_can_be_updated():
    metric = CollapseMetric(K, D)
    with torch.inference_mode():
        metric.reset()
        metric.update(*points(0))
    metric.update(*points(1))
    with torch.inference_mode():
        metric.update(*points(2))
    assert_same(metric.compute(), counted(map(points, range(3))).compute())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_counted_is_nan():
    features, labels = points(0)
    ignored = counted([(features, labels * 0 + 255)], linear(), centers=features[:K])
    for metric in (ignored, CollapseMetric(K, D)):
        measures = metric.compute()
        assert math.isnan(measures.equinorm)
        assert math.isnan(measures.nearest_center_agreement)
        assert measures.num_present == 0


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"num_classes": 1}, ValueError, "num_classes must be at least 2, got 1"),
        ({"in_features": 0}, ValueError, "in_features must be at least 1, got 0"),
        ({"ignore_index": 2}, ValueError, r"ignore_index must lie outside the classes 0\.\.4"),
        ({"resolution": "full"}, ValueError, "resolution must be 'label' or 'feature', got 'full'"),
        ({"classifier": nn.ReLU()}, TypeError, r"a module with a weight or a tensor, got ReLU\(\)"),
        ({"classifier": nn.Linear(K, D)}, ValueError, r"5 rows of 7, got \(7, 5\); one that looks"),
        (
            {"classifier": nn.Conv2d(D, K, 3)},
            ValueError,
            r"got \(5, 7, 3, 3\); one that looks at a neighbourhood has no row .* classifier=None",
        ),
        ({"classifier": torch.zeros(K)}, ValueError, r"5 rows of 7, got \(5,\); one that"),
        (
            {"centers": torch.ones(K, D)},
            ValueError,
            "need a classifier to compare with, got none; pass",
        ),
        (
            {"centers": torch.ones(D, K), "classifier": torch.ones(K, D)},
            ValueError,
            r"centers must be \(5, 7\), got \(7, 5\); pass the centers_KD",
        ),
        (
            {"centers": torch.zeros(K, D), "classifier": torch.ones(K, D)},
            ValueError,
            "centers must have a row that is not zero, .* update the first metric",
        ),
    ],
)
def test_arguments_that_cannot_work_are_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        CollapseMetric(**({"num_classes": K, "in_features": D} | options))


@pytest.mark.parametrize(
    ("features", "labels", "kind", "message"),
    [
        (torch.zeros(2, D + 1, 3, 3), torch.zeros(2, 3, 3), TypeError, "labels must be integer"),
        (torch.zeros(9, D + 1), torch.zeros(9).long(), ValueError, "must have 7 channels .* got 8"),
        (torch.zeros(9, D), torch.zeros(9).long() + K, ValueError, r"labels must be .* 0\.\.4"),
    ],
)
def test_a_batch_that_cannot_be_counted_is_refused(features, labels, kind, message):
    metric = CollapseMetric(K, D)
    with pytest.raises(kind, match=message):
        metric.update(features, labels)
    assert not metric.counts_K.any()


def rank_batches(rank):
    """Three batches on rank 0, one on rank 1 that lacks some classes, of other sizes."""
    if rank == 0:
        return [batch(seed) for seed in range(3)]
    return [batch(9, (3, 3), (7, 8), num_seen=2)]


def count_on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    options = {"classifier": linear(), "centers": points(2)[0][:K]}
    metric = counted(rank_batches(rank), **options)
    alone = counted(rank_batches(rank), sync_on_compute=False, **options)
    together = metric.compute()
    with metric.sync_context():
        centers_KD = metric.centers_KD
    metric.update(*batch(20 + rank))  # counting goes on from the rank's own counts
    torch.save((together, centers_KD, metric.compute(), alone.compute()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_measure_the_batches_of_all_ranks(tmp_path):
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(count_on_a_rank, (str(tmp_path),), nprocs=2, start_method="forkserver")
    options = {"classifier": linear(), "centers": points(2)[0][:K]}
    every = rank_batches(0) + rank_batches(1)
    for rank in range(2):
        together, centers_KD, later, alone = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert_same(together, counted(every, **options).compute())
        torch.testing.assert_close(centers_KD, moments_of(every).centers_KD)
        assert_same(later, counted([*every, batch(20), batch(21)], **options).compute())
        assert_same(alone, counted(rank_batches(rank), **options).compute())
