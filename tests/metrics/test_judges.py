"""One contract over the judges of rare things: objects, boundaries and single images."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from equiseg import BoundaryScore, FrequencyGroups, ImageScore, ObjectScore

K = 5
GROUPS = {"head": [0, 1], "common": [2], "tail": [3, 4]}
JUDGES = (ObjectScore, BoundaryScore, ImageScore)
every_judge = pytest.mark.parametrize("judge", JUDGES)


def batch(seed, *shape):
    """Blocks of classes, with wrong ones in the predictions and some without a label."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [-(-side // 4) for side in shape[1:]]
    labels = torch.randint(0, K, (shape[0], *coarse), generator=generator)
    wrong = torch.rand(labels.shape, generator=generator) < 0.3
    predictions = torch.where(wrong, torch.randint(0, K, labels.shape, generator=generator), labels)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
    maps = []
    for ids in (predictions, labels):
        for axis, side in enumerate(shape[1:], 1):
            ids = ids.repeat_interleave(4, axis).narrow(axis, 0, side)
        maps.append(ids)
    return maps[0].roll(1, -1), maps[1]


BATCHES = [batch(seed, *shape) for seed, shape in enumerate([(2, 9, 14), (1, 20, 6), (3, 8, 8)])]


def scored(judge, batches, groups=GROUPS, **options):
    metric = judge(K, groups=groups, **options)
    for predictions, labels in batches:
        metric.update(predictions, labels)
    return metric.compute()


def same(a, b):
    """Whether two results say the same, NaN for NaN."""
    return repr(a) == repr(b)


@every_judge
def test_the_order_and_the_size_of_batches_is_no_matter(judge):
    single = [(p[i : i + 1], t[i : i + 1]) for p, t in BATCHES for i in range(len(p))]
    assert same(scored(judge, single[::-1]), scored(judge, BATCHES))


@every_judge
@pytest.mark.parametrize("shape", [(2, 30), (2, 9, 11), (2, 6, 7, 8)])
def test_lines_images_and_volumes(judge, shape):
    predictions, labels = batch(0, *shape)
    numbers = scored(judge, [(predictions, labels)]).as_dict()
    assert any(0 < value < 1 for value in numbers.values())
    perfect = scored(judge, [(labels.clamp(max=K - 1), labels)]).as_dict()
    assert all(math.isnan(value) or value == 1 for value in perfect.values())


@every_judge
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_every_integer_dtype(judge, dtype):
    narrow = [(p.to(dtype), t.to(dtype)) for p, t in BATCHES]
    assert same(scored(judge, narrow), scored(judge, BATCHES))


@every_judge
def test_logits_are_their_largest_class(judge):
    logits = [(F.one_hot(p, K).movedim(-1, 1).bfloat16(), t) for p, t in BATCHES]
    assert same(scored(judge, logits), scored(judge, BATCHES))


@pytest.mark.parametrize("judge", [BoundaryScore, ImageScore])
def test_predictions_where_nothing_is_labelled_do_not_count(judge):
    changed = [(torch.where(t == 255, (p + 1) % K, p), t) for p, t in BATCHES]
    assert same(scored(judge, changed), scored(judge, BATCHES))


@every_judge
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("groups", [GROUPS, None])
def test_nothing_labelled_is_nan(judge, groups):
    nothing = (torch.zeros(2, 5, 6, dtype=torch.int64), torch.full((2, 5, 6), 255))
    empty = (torch.zeros(0, 5, 6, dtype=torch.int64),) * 2
    for batches in ([nothing], [empty], []):
        assert all(map(math.isnan, scored(judge, batches, groups).as_dict().values()))


@every_judge
def test_groups_without_a_choice_are_thirds_of_what_is_labelled(judge):
    found = scored(judge, BATCHES, None).groups
    if judge is ImageScore:
        counts = sum(
            (torch.stack([(t == k).flatten(1).any(1).sum() for k in range(K)])) for _, t in BATCHES
        )
    else:
        counts = sum(torch.bincount(t[t < K], minlength=K) for _, t in BATCHES)
    assert found == FrequencyGroups.from_counts(counts)


@every_judge
def test_every_number_is_a_metric_and_a_key(judge):
    metric = judge(K, groups=GROUPS)
    metric.update(*BATCHES[0])
    numbers = metric.compute().as_dict()
    assert set(numbers) == set(metric.numbers)
    for name, value in numbers.items():
        shown = metric.number(name).compute()
        assert shown == pytest.approx(value, nan_ok=True)


@every_judge
def test_classes_are_named_in_the_numbers(judge):
    result = scored(judge, BATCHES)
    assert any(key.endswith("/c") for key in result.as_dict(list("abcde")))
    with pytest.raises(ValueError, match="classes must name the 5 classes, got 2 names"):
        result.as_dict(["a", "b"])


@every_judge
def test_a_result_does_not_change_afterwards(judge):
    metric = judge(K, groups=GROUPS)
    metric.update(*BATCHES[0])
    result = metric.compute()
    before = copy.deepcopy(result)
    with pytest.raises(FrozenInstanceError):
        result.groups = None
    metric.update(*BATCHES[1])
    assert same(result, before)
    assert same(metric.compute(), scored(judge, BATCHES[:2]))
    metric.reset()
    metric.update(*BATCHES[2])
    assert same(metric.compute(), scored(judge, BATCHES[2:]))


@every_judge
def test_calling_the_metric_scores_the_batch_and_counts_it(judge):
    metric = judge(K, groups=GROUPS)
    for one in BATCHES:
        assert same(metric(*one), scored(judge, [one]))
    assert same(metric.compute(), scored(judge, BATCHES))


@every_judge
@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_is_independent(judge, copied):
    metric = judge(K, groups=GROUPS)
    metric.update(*BATCHES[0])
    twin = copied(metric)
    twin.update(*BATCHES[1])
    assert same(twin.compute(), scored(judge, BATCHES[:2]))
    assert same(metric.compute(), scored(judge, BATCHES[:1]))


@every_judge
def test_counts_made_in_inference_mode_can_be_updated(judge):
    metric = judge(K, groups=GROUPS)
    with torch.inference_mode():
        metric.update(*BATCHES[0])
    metric.update(*BATCHES[1])
    assert same(metric.compute(), scored(judge, BATCHES[:2]))


@every_judge
def test_what_cannot_be_counted_is_refused(judge):
    ids = torch.zeros(2, 4, 4, dtype=torch.int64)
    for predictions, labels, kind, message in (
        (ids, ids.float(), TypeError, "labels must be integer class ids"),
        (ids, ids[:, :2], ValueError, r"shaped as the labels, got \(2, 4, 4\)"),
        (ids, ids + K, ValueError, r"labels must be class ids 0\.\.4"),
        (ids - 1, ids, ValueError, r"predictions must be class ids 0\.\.4"),
        (F.one_hot(ids, K).movedim(-1, 1), ids, ValueError, "one-hot"),
    ):
        with pytest.raises(kind, match=message):
            judge(K).update(predictions, labels)
    for arguments, message in (
        ({"num_classes": 1}, "num_classes must be at least 2"),
        ({"ignore_index": 3}, r"outside the classes 0\.\.4"),
        ({"groups": {"head": [0]}}, "keys head, common and tail"),
    ):
        with pytest.raises(ValueError, match=message):
            judge(**({"num_classes": K} | arguments))


def _rank(rank, folder):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    results = []
    for judge in JUDGES:
        metric = judge(K, groups=GROUPS)
        for predictions, labels in BATCHES[rank::2]:  # two batches and one
            metric.update(predictions, labels)
        results.append(repr(metric.compute()))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_score_as_one_process(tmp_path):
    mp.start_processes(_rank, (str(tmp_path),), nprocs=2, start_method="spawn")
    expected = [repr(scored(judge, BATCHES)) for judge in JUDGES]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == expected
