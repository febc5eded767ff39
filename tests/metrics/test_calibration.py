"""CalibrationError against bins filled pixel by pixel, over batches, shapes, groups and ranks."""

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
from torch.nn import functional as F

from equiseg import CalibrationError
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.predictions import most_likely

K = 6
GROUPS = {"head": [0, 1], "common": [2, 3], "tail": [4, 5]}


def batch(seed, *shape, sharpness=2.0):
    """Logits (B, K, *spatial) or (N, K) that often favour the label; a tenth is ignored."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, K, shape, generator=generator)
    noise = torch.randn(*shape, K, generator=generator, dtype=torch.float64)
    logits = sharpness * (noise + F.one_hot(labels, K)).movedim(-1, 1)
    labels[torch.rand(shape, generator=generator) < 0.1] = 255
    return logits, labels


def slow(batches, num_bins=15):
    """Count, confidence and hits of every predicted class and bin, in float64."""
    table = np.zeros((3, K, num_bins))
    for logits, labels in batches:
        rows = logits.double().movedim(1, -1).reshape(-1, K).numpy()
        for row, truth in zip(rows, labels.flatten().tolist(), strict=True):
            if truth == 255:
                continue
            shares = np.exp(row - row.max())
            shares /= shares.sum()
            k = int(shares.argmax())
            m = 0
            while shares[k] > (m + 1) / num_bins:
                m += 1
            table[:, k, m] += 1, shares[k], k == truth
    return table


def error(table, classes):
    """Guo et al., equation 3, of the predictions of some classes."""
    counts, confidences, hits = table[:, classes].sum(1)
    if not counts.sum():
        return math.nan
    return sum(
        n / counts.sum() * abs(hit / n - sure / n)
        for n, sure, hit in zip(counts, confidences, hits, strict=True)
        if n
    )


def assert_right(found, batches, num_bins=15):
    table = slow(batches, num_bins)
    assert found.counts_KM.tolist() == table[0].tolist()
    np.testing.assert_allclose(found.confidences_KM, table[1], rtol=1e-9)
    assert found.correct_KM.tolist() == table[2].tolist()
    assert found.ece == pytest.approx(error(table, list(range(K))), nan_ok=True)
    for name, ids in GROUPS.items():
        assert getattr(found, name) == pytest.approx(error(table, ids), nan_ok=True), name


def counted(batches, **options):
    metric = CalibrationError(K, groups=GROUPS, **options)
    for logits, labels in batches:
        metric.update(logits, labels)
    return metric.compute()


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_batches_of_any_size_and_shape_count_as_one_loop_over_all_pixels(num_bins):
    shapes = [(2, 9, 11), (1, 30, 7), (3, 5), (2, 3, 4, 5), (200,), (0,), (0, 4, 4)]
    batches = [batch(seed, *shape) for seed, shape in enumerate(shapes)]
    assert_right(counted(batches, num_bins=num_bins), batches, num_bins)


def test_a_case_worked_by_hand():
    # Four predictions at 0.75 of which two are right, one at 0.6 that is right.
    shares = torch.tensor([[0.75, 0.25]] * 4 + [[0.4, 0.6]])
    metric = CalibrationError(2, groups={"head": [0], "common": [], "tail": [1]}, num_bins=10)
    metric.update(shares.log(), torch.tensor([0, 0, 1, 1, 1]))
    found = metric.compute()
    assert found.ece == pytest.approx(4 / 5 * 0.25 + 1 / 5 * 0.4)
    assert (found.head, found.tail) == (pytest.approx(0.25), pytest.approx(0.4))
    assert math.isnan(found.common)
    bins = found.bins()
    assert (bins["count"][7], bins["correct"][7]) == (4, 2)
    assert bins["confidence"][7] == pytest.approx(3.0)
    assert (sum(bins["count"]), sum(bins["correct"])) == (5, 3)


def test_a_bin_holds_its_upper_end_and_certainty():
    metric = CalibrationError(2, num_bins=4)
    ids = torch.zeros(5, dtype=torch.int64)
    metric.update(ids, ids, torch.tensor([0.5, 0.51, 0.75, 0.76, 1.0]))
    assert metric.compute().bins()["count"] == [0, 1, 2, 2]


def test_probabilities_that_are_right_are_calibrated():
    """Labels drawn from the predicted probabilities, whatever these are."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(200_000, K)
    labels = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    honest, bold = counted([(logits, labels)]), counted([(3 * logits, labels)])
    assert honest.ece < 0.01
    assert bold.ece > 0.1


def test_class_ids_with_confidences_count_as_the_logits_they_come_from():
    for shape in ((2, 9, 11), (300,)):
        logits, labels = batch(0, *shape)
        metric = CalibrationError(K, groups=GROUPS)
        confidences, ids = logits.softmax(1).max(1)
        metric.update(ids, labels, confidences)
        assert_right(metric.compute(), [(logits, labels)])


def test_logits_are_resized_to_the_labels():
    logits = torch.randn(2, K, 5, 6, dtype=torch.float64)
    _, labels = batch(0, 2, 18, 22)
    full = F.interpolate(logits, (18, 22), mode="bilinear")
    assert_right(counted([(logits, labels)]), [(full, labels)])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    logits = torch.randn(50, 150, generator=torch.Generator().manual_seed(0)).to(dtype)
    ids, probabilities = most_likely(logits)
    expected, winners = logits.float().softmax(1).max(1)
    assert torch.equal(ids, winners)
    torch.testing.assert_close(probabilities, expected)


def test_ignored_labels_do_not_count():
    logits, labels = batch(0, 2, 30)
    changed = torch.where((labels == 255).unsqueeze(1), torch.nan, logits)
    assert_right(counted([(changed, labels)]), [(logits, labels)])
    negative = torch.where(labels == 255, -100, labels)
    assert_right(counted([(logits, negative)], ignore_index=-100), [(logits, labels)])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_labelled_is_nan():
    for found in (counted([]), counted([(torch.zeros(2, K, 5), torch.full((2, 5), 255))])):
        assert all(math.isnan(v) for v in (found.ece, found.head, found.common, found.tail))


def test_without_groups_there_are_none():
    metric = CalibrationError(K)
    metric.update(*batch(0, 50))
    assert 0 < metric.compute().ece < 1
    assert math.isnan(metric.compute().tail)


def test_groups_from_counts_are_those_of_the_score():
    metric = CalibrationError(K, groups=torch.tensor([1, 10, 100, 5, 50, 500]))
    assert metric.groups == FrequencyGroups((5, 2), (4, 1), (3, 0))


def test_calling_resetting_and_copying():
    metric = CalibrationError(K, groups=GROUPS)
    assert_right(metric(*batch(0, 2, 15)), [batch(0, 2, 15)])
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        twin.update(*batch(1, 50))
        assert_right(twin.compute(), [batch(0, 2, 15), batch(1, 50)])
    first = metric.compute()
    metric.reset()
    with torch.inference_mode():
        metric.update(*batch(2, 50))
    metric.update(*batch(3, 50))
    assert_right(metric.compute(), [batch(2, 50), batch(3, 50)])
    assert_right(first, [batch(0, 2, 15)])


ids = torch.zeros(2, 4, 4, dtype=torch.int64)
sure = torch.ones(2, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((ids, ids.float(), sure), TypeError, r"labels must be integer class ids"),
        ((ids > 0, ids, sure), TypeError, r"predictions must be .* got dtype torch\.bool"),
        ((ids[:, :2], ids, sure), ValueError, r"shaped as the labels, got \(2, 2, 4\) and"),
        ((ids, ids), ValueError, r"confidences must be shaped .* got None; pass the probability"),
        ((ids, ids, sure[0]), ValueError, r"confidences must be shaped .* got \(4, 4\)"),
        ((ids, ids, 80 * sure), ValueError, r"from 0 to 1, got values from 80 to 80; take"),
        ((ids, ids, -sure), ValueError, r"probabilities from 0 to 1, got values from -1 to -1"),
        ((torch.zeros(2, K, 4, 4), ids, sure), ValueError, r"confidences go with class ids, got"),
        ((torch.zeros(2, 5, 4, 4), ids), ValueError, r"must be \(B, 6, \*spatial\)"),
        ((ids, ids + K, sure), ValueError, r"labels must be class ids 0\.\.5 .* got 6 in 32"),
        ((ids + K, ids, sure), ValueError, r"predictions must be class ids 0\.\.5, got values"),
    ],
)
def test_a_batch_that_cannot_be_counted_is_refused(arguments, kind, message):
    metric = CalibrationError(K)
    with pytest.raises(kind, match=message):
        metric.update(*arguments)
    assert not metric.counts_KM.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_bins": 0}, r"num_bins must be at least 1, got 0"),
        ({"ignore_index": 3}, r"ignore_index must lie outside the classes 0\.\.5, got 3"),
        ({"groups": {"head": [0], "common": [7], "tail": []}}, r"class ids 0\.\.5, got \[7\]"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CalibrationError(**({"num_classes": K} | arguments))


def count_on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    metric = CalibrationError(K, groups=GROUPS)
    for seed in range(3 if rank == 0 else 1):
        metric.update(*batch(10 * rank + seed, 2, 20 + seed))
    torch.save(metric.compute(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_count_the_batches_of_all_ranks(tmp_path):
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(count_on_a_rank, (str(tmp_path),), nprocs=2, start_method="forkserver")
    every = [batch(seed, 2, 20 + seed) for seed in range(3)] + [batch(10, 2, 20)]
    for rank in range(2):
        assert_right(torch.load(tmp_path / f"{rank}.pt", weights_only=False), every)
