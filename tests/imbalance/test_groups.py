"""Head, common and tail."""

import pytest
import torch

from equiseg.imbalance import FrequencyGroups


@pytest.mark.parametrize(
    ("num_classes", "sizes"),
    [
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (4, (1, 2, 1)),
        (5, (2, 1, 2)),
        (11, (4, 3, 4)),
        (19, (6, 7, 6)),
        (150, (50, 50, 50)),
    ],
)
def test_thirds_by_frequency(num_classes, sizes):
    groups = FrequencyGroups.from_counts(range(num_classes, 0, -1))
    assert tuple(len(ids) for _, ids in groups) == sizes
    assert [k for _, ids in groups for k in ids] == list(range(num_classes))


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64])
def test_the_most_frequent_come_first_and_ties_go_by_id(dtype):
    counts = torch.tensor([5, 80, 5, 900, 80, 5, 2], dtype=dtype)
    assert FrequencyGroups.from_counts(counts) == FrequencyGroups((3, 1), (4, 0, 2), (5, 6))


def test_classes_never_counted_join_the_tail_without_moving_the_thirds():
    assert FrequencyGroups.from_counts([0, 9, 0, 5, 1]) == FrequencyGroups((1,), (3,), (4, 0, 2))
    assert FrequencyGroups.from_counts([0, 0]) == FrequencyGroups((), (), (0, 1))


def test_groups_from_a_mapping_keep_their_order():
    groups = FrequencyGroups.from_mapping({"tail": [4], "head": (2, 0), "common": []})
    assert dict(groups) == {"head": (2, 0), "common": (), "tail": (4,)}
    assert list(dict(groups)) == ["head", "common", "tail"]
    assert FrequencyGroups.from_mapping(dict(groups)) == groups


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrequencyGroups((0, 1), (1,), (0,)), r"each class once, got \[0, 1\] more than"),
        (lambda: FrequencyGroups((0,), (), (-2,)), r"class ids >= 0, got -2; remove it"),
        (
            lambda: FrequencyGroups.from_counts([3, -1, 2]),
            r"counts >= 0, got shape \(3,\) and least value -1; pass the counts",
        ),
        (lambda: FrequencyGroups.from_counts(torch.ones(2, 2)), r"one row .* got shape \(2, 2\)"),
        (
            lambda: FrequencyGroups.from_mapping({"head": [0], "medium": [1], "tail": [2]}),
            r"keys head, common and tail, got \['head', 'medium', 'tail'\]",
        ),
    ],
)
def test_groups_that_cannot_work_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
