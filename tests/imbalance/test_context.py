"""Context: regions, neighbours and company of classes, and the measures on them."""

import itertools
import math

import numpy as np
import pytest
import torch

from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.pictures.dataset import RoomPictures
from equiseg.imbalance import ClassStatistics, ContextStatistics

MASK = torch.tensor(
    [
        [0, 0, 1, 0],
        [2, 0, 1, 1],
        [2, 255, 255, 0],
    ]
)


def noise(*shape, num_classes=6, seed=0, ignored=0.1):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(num_classes, shape, generator=generator)
    return labels.masked_fill(torch.rand(shape, generator=generator) < ignored, 255)


def assert_same(a, b):
    assert a.to_dict() == b.to_dict()


def neighbours(masks):
    """Every pair of labelled neighbours of the masks, from either side: (pairs, 2)."""
    pairs = []
    for mask in masks:
        for a, b in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            pairs += zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)
    pairs = [pair for pair in pairs if 255 not in pair]
    return np.array(pairs + [pair[::-1] for pair in pairs])


def test_regions_neighbours_and_cooccurrence_of_a_mask():
    context = ContextStatistics.from_labels([MASK, torch.tensor([[0, 3]])], 5)
    assert context.regions_K.tolist() == [4, 1, 1, 1, 0]
    assert context.adjacency_KK.tolist() == [
        [4, 5, 2, 1, 0],
        [5, 4, 0, 0, 0],
        [2, 0, 2, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert context.cooccurrence_KK.tolist() == [
        [2, 1, 1, 1, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert context.num_images == 2
    assert context.adjacency_without_self().tolist()[0] == [0, 5, 2, 1, 0]
    assert not context.adjacency_without_self().diagonal().any()


def test_the_diagonal_of_cooccurrence_counts_the_images_of_a_class():
    masks = [noise(4, 3, num_classes=20, seed=seed) for seed in range(9)]
    context = ContextStatistics.from_labels(masks, 20)
    statistics = ClassStatistics.from_labels(masks, 20)
    assert torch.equal(context.cooccurrence_KK.diagonal(), statistics.images_K)
    for a, b in itertools.combinations(range(20), 2):
        both = sum(bool((mask == a).any() and (mask == b).any()) for mask in masks)
        assert context.cooccurrence_KK[a, b] == context.cooccurrence_KK[b, a] == both


def test_voxels_count_as_pixels_do():
    labels = noise(12, 9)
    places = torch.cartesian_prod(torch.arange(12), torch.arange(9), torch.tensor([-3])).int()
    scan = ContextStatistics.zeros(6)
    scan.add_voxels(places, labels.flatten())
    assert_same(scan, ContextStatistics.from_labels([labels], 6))


def test_classes_keep_their_counts_under_other_ids():
    labels, order = noise(20, 30), torch.tensor([3, 0, 5, 1, 4, 2])
    context = ContextStatistics.from_labels([labels], 6)
    renamed = labels.masked_fill(labels == 255, 0).new_tensor(order.tolist())[labels % 255]
    other = ContextStatistics.from_labels([renamed.masked_fill(labels == 255, 255)], 6)
    assert torch.equal(other.regions_K[order], context.regions_K)
    assert torch.equal(other.adjacency_KK[order][:, order], context.adjacency_KK)
    assert torch.equal(other.cooccurrence_KK[order][:, order], context.cooccurrence_KK)
    assert other.neighbour_correlation() == pytest.approx(context.neighbour_correlation())
    assert other.conditional_entropy() == pytest.approx(context.conditional_entropy())


def test_an_absent_class_changes_no_measure():
    masks = [noise(20, 30)]
    context = ContextStatistics.from_labels(masks, 6)
    more = ContextStatistics.from_labels(masks, 9)
    for across in (False, True):
        entropies = context.entropy(across_borders=across), more.entropy(across_borders=across)
        assert entropies[0] == pytest.approx(entropies[1], abs=1e-12)
        assert context.conditional_entropy(across_borders=across) == pytest.approx(
            more.conditional_entropy(across_borders=across), abs=1e-12
        )
    assert context.neighbour_correlation() == pytest.approx(more.neighbour_correlation())
    by_class = more.neighbour_correlation_by_class()
    torch.testing.assert_close(by_class[:6], context.neighbour_correlation_by_class())
    assert by_class[6:].isnan().all()


@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_correlation_is_that_of_the_indicators_of_a_pixel_and_its_neighbour(ignored):
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 4, 4, 5, generator=torch.Generator().manual_seed(2)), size=(14, 20)
    ).argmax(1)
    masks = [mask.masked_fill(noise(14, 20, ignored=ignored) == 255, 255) for mask in smooth]
    context, pairs = ContextStatistics.from_labels(masks, 4), neighbours(masks)
    indicators = [pairs == k for k in range(4)]
    expected = [np.corrcoef(on[:, 0], on[:, 1])[0, 1] for on in indicators]
    by_class = context.neighbour_correlation_by_class()
    np.testing.assert_allclose(by_class, expected, rtol=1e-12)
    variances = [on[:, 0].var() for on in indicators]
    expected_all = np.average(expected, weights=variances)
    assert context.neighbour_correlation() == pytest.approx(expected_all, rel=1e-12)
    assert expected_all > 0.5


@pytest.mark.parametrize("across_borders", [False, True])
def test_entropies_are_those_of_all_pairs(across_borders):
    masks = [noise(15, 11, seed=seed, num_classes=3) for seed in range(3)]
    pairs = neighbours(masks)
    if across_borders:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    expected = conditional = 0.0
    for given in range(3):
        p_given = (pairs[:, 1] == given).mean()
        expected -= p_given * math.log2(p_given)
        for k in range(3):
            p = (pairs[pairs[:, 1] == given][:, 0] == k).mean()
            conditional -= p_given * p * math.log2(p) if p else 0.0
    context = ContextStatistics.from_labels(masks, 3)
    assert context.entropy(across_borders=across_borders) == pytest.approx(expected, rel=1e-12)
    assert context.conditional_entropy(across_borders=across_borders) == pytest.approx(
        conditional, rel=1e-12
    )


def test_what_a_neighbour_tells_lies_between_nothing_and_everything():
    stripes = torch.arange(4).repeat_interleave(2).repeat(8, 1)  # 0 0 1 1 2 2 3 3
    chequers = torch.from_numpy(np.indices((20, 20)).sum(0) % 2)
    strewn = noise(400, 400, num_classes=4, ignored=0)
    context = ContextStatistics.from_labels([chequers], 2)
    assert context.neighbour_correlation() == -1
    assert (context.entropy(), context.conditional_entropy()) == pytest.approx((1, 0), abs=1e-3)
    context = ContextStatistics.from_labels([strewn], 4)
    assert context.neighbour_correlation() == pytest.approx(0, abs=0.01)
    assert context.conditional_entropy() == pytest.approx(2, abs=1e-3)
    # Without the pairs within a class, three of four are left to guess from.
    assert context.conditional_entropy(across_borders=True) == pytest.approx(math.log2(3), abs=1e-3)
    context = ContextStatistics.from_labels([stripes], 4)
    assert context.neighbour_correlation() > 0.7


def test_measures_are_nan_where_nothing_touches():
    empty = ContextStatistics.zeros(3)
    one_class = ContextStatistics.from_labels([torch.zeros(4, 4, dtype=torch.uint8)], 3)
    assert math.isnan(empty.neighbour_correlation())
    assert math.isnan(one_class.neighbour_correlation())
    assert empty.neighbour_correlation_by_class().isnan().all()
    assert one_class.neighbour_correlation_by_class().isnan().all()
    assert math.isnan(empty.entropy())
    assert math.isnan(empty.conditional_entropy())
    assert (one_class.entropy(), one_class.conditional_entropy()) == (0, 0)
    assert math.isnan(one_class.conditional_entropy(across_borders=True))


def test_the_context_option_of_built_in_pictures_changes_entropy_across_borders():
    def told(context):
        data = RoomPictures(PicturesConfig(12, (64, 80), 100.0, context), "train", 48)
        statistics = ContextStatistics.from_labels((sample.labels for sample in data), 12)
        entropy = statistics.entropy(across_borders=True)
        return 1 - statistics.conditional_entropy(across_borders=True) / entropy

    anywhere, some, hosts_only = map(told, (0.0, 0.5, 1.0))
    assert anywhere + 0.02 < some < hosts_only - 0.05


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (torch.zeros(2, 4, 4).long(), ValueError, r"one mask \(H, W\), got shape \(2, 4, 4\); add"),
        (torch.zeros(4, 4), TypeError, "labels must be integer class ids"),
        (torch.full((4, 4), 9), ValueError, r"class ids 0\.\.4 or ignore_index=255, got 9 in 16"),
    ],
)
def test_masks_that_cannot_be_counted_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        ContextStatistics.from_labels([labels], 5)


@pytest.mark.parametrize(
    ("coordinates", "labels", "error", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2).long(), TypeError, r"integers, got torch\.float32; vox"),
        (torch.zeros(2, 3).int(), torch.zeros(4).long(), ValueError, r"\(2, 3\) and \(4,\); take"),
        (torch.zeros(1, 3).int(), torch.tensor([7]), ValueError, r"class ids 0\.\.4 .* got 7"),
    ],
)
def test_voxels_that_do_not_fit_are_refused(coordinates, labels, error, message):
    with pytest.raises(error, match=message):
        ContextStatistics.zeros(5).add_voxels(coordinates, labels)
