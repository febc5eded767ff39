"""SegmentationScore against sums written out as loops, over batches, shapes and ranks."""

import copy
import math
import multiprocessing
import pickle
from dataclasses import FrozenInstanceError
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from equiseg import SegmentationScore
from equiseg.imbalance import FrequencyGroups
from equiseg.metrics import Score

K = 7
NAN = math.nan
GROUPS = {"head": [0, 1], "common": [2, 3, 4], "tail": [5, 6]}


def batch(seed, *shape, num_seen=K):
    """Predictions that are right about half the time, and labels of which a tenth is ignored."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, num_seen, shape, generator=generator)
    right = torch.rand(shape, generator=generator) < 0.5
    predictions = torch.where(right, labels, torch.randint(0, num_seen, shape, generator=generator))
    labels[torch.rand(shape, generator=generator) < 0.1] = 255
    return predictions, labels


def slow(predictions, labels, groups):
    """Every score of lists of class ids, pixel by pixel and class by class."""
    hit, labelled, predicted = np.zeros(K), np.zeros(K), np.zeros(K)
    for guess, truth in zip(predictions, labels, strict=True):
        if truth == 255:
            continue
        labelled[truth] += 1
        predicted[guess] += 1
        if guess == truth:
            hit[truth] += 1
    iou, accuracy = [NAN] * K, [NAN] * K
    for k in range(K):
        if labelled[k] + predicted[k] > 0:
            iou[k] = hit[k] / (labelled[k] + predicted[k] - hit[k])
        if labelled[k] > 0:
            accuracy[k] = hit[k] / labelled[k]

    def mean(values, ids):
        known = [values[k] for k in ids if not math.isnan(values[k])]
        return (sum(known) / len(known) if known else NAN), len(known)

    scores = {"pixel_accuracy": sum(hit) / sum(labelled) if sum(labelled) else NAN}
    scores["miou"], scores["num_iou"] = mean(iou, range(K))
    scores["mean_accuracy"], scores["num_accuracy"] = mean(accuracy, range(K))
    for name, ids in groups.items():
        scores[name], scores[f"num_{name}"] = mean(iou, ids)
        scores[f"{name}_accuracy"], _ = mean(accuracy, ids)
    return iou, accuracy, scores


def assert_right(score, batches, groups=GROUPS):
    predictions = [int(v) for p, _ in batches for v in p.flatten()]
    labels = [int(v) for _, truth in batches for v in truth.flatten()]
    iou, accuracy, scores = slow(predictions, labels, groups)
    np.testing.assert_allclose(score.iou_K, iou, rtol=1e-12)
    np.testing.assert_allclose(score.accuracy_K, accuracy, rtol=1e-12)
    for name, value in scores.items():
        assert getattr(score, name) == pytest.approx(value, rel=1e-12, nan_ok=True), name


def scored(batches, groups=GROUPS, **options):
    metric = SegmentationScore(K, groups=groups, **options)
    for predictions, labels in batches:
        metric.update(predictions, labels)
    return metric.compute()


def same(a, b):
    """Whether two scores say the same, NaN for NaN."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("num_seen", [K, 4, 1])
def test_batches_of_any_size_and_shape_score_as_one_loop_over_all_pixels(num_seen):
    shapes = [(2, 9, 11), (1, 30, 7), (3, 5), (2, 4, 5, 6), (40,), (0,), (0, 4, 4)]
    batches = [batch(i, *shape, num_seen=num_seen) for i, shape in enumerate(shapes)]
    assert_right(scored(batches), batches)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_ids_of_every_integer_dtype(dtype):
    predictions, labels = batch(0, 2, 20, 30)
    assert_right(scored([(predictions.to(dtype), labels.to(dtype))]), [(predictions, labels)])


def test_150_classes_in_8_bits_do_not_wrap_around():
    ids = torch.arange(150).to(torch.uint8)
    metric = SegmentationScore(150)
    metric.update(ids, ids)
    assert metric.compute().miou == 1
    assert torch.equal(metric.confusion_KK, torch.eye(150, dtype=torch.int64))


def test_a_class_neither_labelled_nor_predicted_is_left_out_and_one_predicted_only_is_zero():
    score = scored([(torch.tensor([0, 0, 1, 5]), torch.tensor([0, 0, 1, 1]))])
    assert score.iou_K[:2].tolist() == [1, 0.5]
    assert score.iou_K[5] == 0
    assert score.accuracy_K[5].isnan()
    assert score.iou_K[[2, 3, 4, 6]].isnan().all()
    assert (score.miou, score.num_iou) == (0.5, 3)
    assert (score.mean_accuracy, score.num_accuracy) == (0.75, 2)
    assert (score.head, score.num_head) == (0.75, 2)
    assert (score.tail, score.num_tail) == (0, 1)
    assert (math.isnan(score.common), score.num_common) == (True, 0)
    assert math.isnan(score.tail_accuracy)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_labelled_is_nan():
    nothing = (torch.zeros(2, 5, dtype=torch.int64), torch.full((2, 5), 255))
    for score in (scored([nothing]), scored([]), scored([nothing], groups=None)):
        assert score.iou_K.isnan().all()
        assert (score.num_iou, score.num_accuracy, score.num_head) == (0, 0, 0)
        for value in (score.miou, score.mean_accuracy, score.pixel_accuracy, score.tail):
            assert math.isnan(value)


def test_the_mean_is_of_the_data_set_and_not_of_its_images():
    images = [torch.zeros(1, 100, 100, dtype=torch.int64) for _ in range(2)]
    labels = [image.clone() for image in images]
    labels[1][:] = 255
    labels[1][0, 0, 0], images[1][0, 0, 0] = 0, 1  # one wrong pixel, in an image that has no other
    together = scored(zip(images, labels, strict=True))
    assert together.iou_K[0] == 10000 / 10001
    per_image = [scored([pair]).iou_K[0] for pair in zip(images, labels, strict=True)]
    assert sum(per_image) / 2 == 0.5


def test_logits_are_their_largest_class():
    predictions, labels = batch(0, 2, 9, 11)
    logits = F.one_hot(predictions, K).movedim(-1, 1) * 3 - torch.rand(2, K, 9, 11)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert_right(scored([(logits.to(dtype), labels)]), [(predictions, labels)])


def test_logits_of_points():
    predictions, labels = batch(0, 300)
    assert_right(scored([(F.one_hot(predictions, K).float(), labels)]), [(predictions, labels)])


@pytest.mark.parametrize("size", [(5, 6), (9, 3), (20, 26), (7, 11)])
def test_logits_are_resized_to_the_labels(size):
    _, labels = batch(0, 2, 18, 22)
    logits = torch.randn(2, K, *size, generator=torch.Generator().manual_seed(1))
    rows, columns = (
        ((np.arange(to) + 0.5) * of / to - 0.5).clip(0, of - 1)
        for of, to in zip(size, (18, 22), strict=True)
    )
    maps = logits.double().numpy()
    along_rows = np.apply_along_axis(lambda m: np.interp(rows, np.arange(size[0]), m), 2, maps)
    full = np.apply_along_axis(lambda m: np.interp(columns, np.arange(size[1]), m), 3, along_rows)
    predictions = torch.from_numpy(full.argmax(1))
    assert_right(scored([(logits.double(), labels)]), [(predictions, labels)])


def test_logits_of_lines_and_volumes_are_resized_too():
    for coarse, fine in (((4,), (8,)), ((2, 3, 4), (4, 6, 8))):
        corner = torch.zeros(1, K, *coarse)
        corner[:, 3] = 1
        labels = torch.full((1, *fine), 3)
        assert scored([(corner, labels)]).pixel_accuracy == 1


def test_groups_from_counts_from_a_mapping_and_ready_made_agree():
    counts = [900, 20, 500, 30, 1000, 1, 10]
    groups = {"head": (4, 0), "common": (2, 3, 1), "tail": (6, 5)}
    batches = [batch(0, 2, 20, 20)]
    for given in (
        torch.tensor(counts),
        torch.tensor(counts).double() / 7,
        counts,
        np.array(counts),
        groups,
        FrequencyGroups(**groups),
    ):
        score = scored(batches, given)
        assert dict(score.groups) == groups
        assert_right(score, batches, groups)


def test_without_groups_the_label_counts_seen_are_cut_into_thirds():
    labels = torch.tensor([3] * 9 + [1] * 8 + [0] * 7 + [6] * 6 + [5] * 5 + [2] * 4)
    predictions = labels.roll(1)
    groups = {"head": (3, 1), "common": (0, 6), "tail": (5, 2, 4)}
    score = scored([(predictions, labels)], None)
    assert dict(score.groups) == groups
    assert_right(score, [(predictions, labels)], groups)
    assert score.num_tail == 2  # class 4 was not seen


def test_a_mean_without_the_background():
    predictions, labels = batch(0, 4, 30)
    score = scored([(predictions, labels)])
    others = [float(v) for k, v in enumerate(score.iou_K) if k != 2]
    assert score.miou_without(2) == pytest.approx(sum(others) / 6)


def test_a_score_does_not_change_afterwards():
    metric = SegmentationScore(K, groups=GROUPS)
    metric.update(*batch(0, 50))
    score = metric.compute()
    before = copy.deepcopy(score)
    with pytest.raises(FrozenInstanceError):
        score.miou = 1.0
    assert metric.compute() is not None
    metric.update(*batch(1, 50))
    assert same(score, before)
    assert_right(metric.compute(), [batch(0, 50), batch(1, 50)])


def test_calling_the_metric_scores_the_batch_and_counts_it():
    metric = SegmentationScore(K, groups=GROUPS)
    batches = [batch(i, 2, 15) for i in range(3)]
    for one in batches:
        assert_right(metric(*one), [one])
    assert_right(metric.compute(), batches)


def test_reset_forgets():
    metric = SegmentationScore(K, groups=GROUPS)
    metric.update(*batch(0, 50))
    metric.compute()
    metric.reset()
    assert not metric.confusion_KK.any()
    metric.update(*batch(1, 50))
    assert_right(metric.compute(), [batch(1, 50)])


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_is_independent(copied):
    metric = SegmentationScore(K, groups=GROUPS)
    metric.update(*batch(0, 50))
    twin = copied(metric)
    twin.update(*batch(1, 50))
    assert_right(twin.compute(), [batch(0, 50), batch(1, 50)])
    assert_right(metric.compute(), [batch(0, 50)])


def test_counts_made_in_inference_mode_can_be_updated():
    metric = SegmentationScore(K, groups=GROUPS)
    with torch.inference_mode():
        metric.update(*batch(0, 50))
    metric.update(*batch(1, 50))
    assert_right(metric.compute(), [batch(0, 50), batch(1, 50)])


def test_counts_are_exact_beyond_32_bits():
    metric = SegmentationScore(2)
    metric.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
    metric.confusion_KK = metric.confusion_KK * (2**40 + 1)
    metric.update(torch.tensor([1]), torch.tensor([0]))
    assert metric.confusion_KK.tolist() == [[2**40 + 1, 1], [0, 2**40 + 1]]


def test_a_score_can_be_made_of_a_confusion_matrix():
    batches = [batch(0, 2, 30)]
    metric = SegmentationScore(K, groups=GROUPS)
    metric.update(*batches[0])
    score = Score.from_confusion(metric.confusion_KK, FrequencyGroups.from_mapping(GROUPS))
    assert same(score, metric.compute())


ids = torch.zeros(2, 4, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("predictions", "labels", "kind", "message"),
    [
        (ids, ids.float(), TypeError, r"labels must be integer class ids, got dtype torch.float32"),
        (ids > 0, ids, TypeError, r"predictions must be .* got dtype torch\.bool; convert"),
        (
            ids,
            ids[:, :2],
            ValueError,
            r"shaped as the labels, got \(2, 4, 4\) and \(2, 2, 4\); log",
        ),
        (ids, ids + K, ValueError, r"labels must be class ids 0\.\.6 .* got 7 in 32 of 32"),
        (ids + K, ids, ValueError, r"predictions must be class ids 0\.\.6, got values from 7 to 7"),
        (ids - 1, ids, ValueError, r"predictions must be class ids 0\.\.6, got values from -1 to"),
        (
            torch.zeros(2, 5, 4, 4),
            ids,
            ValueError,
            r"must be \(B, 7, \*spatial\) .* \(2, 5, 4, 4\)",
        ),
        (
            torch.zeros(2, 4, 4),
            ids,
            ValueError,
            r"must be \(B, 7, .* got \(2, 4, 4\) for \(2, 4, 4",
        ),
        (
            torch.zeros(1, K, 4, 4),
            ids,
            ValueError,
            r"\(B, 7, \*spatial\) .* got \(1, 7, 4, 4\) for",
        ),
        (torch.zeros(3, K), ids[0, 0], ValueError, r"\(B, 7, .* got \(3, 7\) for \(4,\)"),
    ],
)
def test_a_batch_that_cannot_be_counted_is_refused(predictions, labels, kind, message):
    metric = SegmentationScore(K)
    with pytest.raises(kind, match=message):
        metric.update(predictions, labels)
    assert not metric.confusion_KK.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, r"num_classes must be at least 2, got 1"),
        ({"ignore_index": 3}, r"ignore_index must lie outside the classes 0\.\.6, got 3"),
        ({"groups": torch.ones(6)}, r"groups as class counts must have shape \(7,\), got \(6,\)"),
        ({"groups": {"head": [0]}}, r"keys head, common and tail, got \['head'\]; a group may"),
        (
            {"groups": {"head": [0], "common": [7], "tail": [9]}},
            r"groups must hold class ids 0\.\.6, got \[7, 9\]; remove",
        ),
        (
            {"groups": {"head": [0], "common": [0], "tail": []}},
            r"groups must hold each class once, got \[0\] more than once",
        ),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegmentationScore(**({"num_classes": K} | arguments))


def rank_batches(rank):
    """Three batches on rank 0, one on rank 1 that lacks some classes, of other sizes."""
    if rank == 0:
        return [batch(i, 2, 10 + i) for i in range(3)]
    return [batch(9, 1, 40, num_seen=3)]


def count_on_a_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    metric = SegmentationScore(K, groups=GROUPS)
    alone = SegmentationScore(K, groups=GROUPS, sync_on_compute=False)
    for one in rank_batches(rank):
        metric.update(*one)
        alone.update(*one)
    together = metric.compute()
    metric.update(*batch(20 + rank, 30))  # counting goes on from the rank's own counts
    torch.save((together, metric.compute(), alone.compute()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_score_the_batches_of_all_ranks(tmp_path):
    multiprocessing.set_forkserver_preload(["equiseg"])
    mp.start_processes(count_on_a_rank, (str(tmp_path),), nprocs=2, start_method="forkserver")
    every = rank_batches(0) + rank_batches(1)
    for rank in range(2):
        together, later, alone = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert_right(together, every)
        assert_right(later, [*every, batch(20, 30), batch(21, 30)])
        assert_right(alone, rank_batches(rank))


def test_only_labelled_classes_are_averaged_where_that_is_the_rule():
    predictions, labels = torch.tensor([[0, 0, 1, 2, 3]]), torch.tensor([[0, 0, 1, 1, 1]])
    scores = []
    for labelled_only in (False, True):
        metric = SegmentationScore(5, groups=[5, 4, 3, 2, 1], labelled_only=labelled_only)
        metric.update(predictions, labels)
        scores.append(metric.compute())
    every, labelled = scores
    assert (every.num_iou, labelled.num_iou) == (4, 2)
    assert every.miou == pytest.approx((1 + 1 / 3) / 4)
    assert labelled.miou == pytest.approx((1 + 1 / 3) / 2)
    assert every.tail == 0 and math.isnan(labelled.tail) and labelled.num_tail == 0


def test_scores_as_plain_numbers():
    score = Score.from_confusion(torch.tensor([[3, 1], [0, 4]]))
    numbers = score.as_dict(["road", "car"])
    assert numbers["miou"] == score.miou and numbers["iou/car"] == 0.8
    assert all(type(value) is float for value in numbers.values())
    assert "iou/car" not in score.as_dict()
    with pytest.raises(ValueError, match="classes must name the 2 classes, got 1 names"):
        score.as_dict(["road"])


@pytest.mark.parametrize("ignored", [False, True])
def test_one_hot_tensors_are_named(ignored):
    labels = torch.randint(0, K, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    hot = F.one_hot(labels, K).movedim(-1, 1)
    if ignored:
        hot[:, :, 0] = 0
    for predictions, given, name in (
        (hot, hot, "labels"),
        (labels, hot, "labels"),
        (hot, labels, "predictions"),
        (hot.float(), hot.float(), "labels"),
        (torch.randn(2, K, 8, 8), hot, "labels"),
    ):
        with pytest.raises(ValueError, match=rf"one-hot {name} .*{name}.argmax\(1\)"):
            SegmentationScore(K).update(predictions, given)
