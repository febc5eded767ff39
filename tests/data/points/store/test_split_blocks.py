import numpy as np
import pytest

from equiseg.data.points.store.split_blocks import deal_blocks

PATTERN = ["train", "train", "test", "train", "val"]


def test_the_rule_by_hand():
    counts_BK = [
        [10, 0],  # holds no rare class: after all that do, the fatter block first
        [5, 1],
        [0, 9],
        [0, 0],  # nothing: last
        [30, 0],
        [7, 1],  # as much of the rare class as block 1, and after it
    ]
    dealt = deal_blocks(np.array(counts_BK), ["a", "b", "c"])
    assert [dealt[block] for block in (2, 1, 5, 4, 0, 3)] == ["a", "b", "c", "a", "b", "c"]


def test_of_two_equal_classes_the_lower_id_goes_first():
    assert deal_blocks(np.array([[0, 3], [3, 0]]), ["a", "b"]) == ["b", "a"]


def made_up_counts(seed):
    rng = np.random.default_rng(seed)
    return rng.poisson(2000 * 10.0 ** -np.arange(5) * rng.lognormal(0, 1, (300, 5)))


def test_every_round_of_the_rarest_class_is_the_pattern():
    counts_BK = made_up_counts(0)
    dealt = np.array(deal_blocks(counts_BK, PATTERN))
    assert [(dealt == split).sum() for split in ("train", "val", "test")] == [180, 60, 60]
    holding = np.flatnonzero(counts_BK[:, 4])
    fattest_first = holding[np.argsort(-counts_BK[holding, 4], kind="stable")]
    assert dealt[fattest_first[:50]].tolist() == PATTERN * 10


def test_rare_classes_are_spread_better_than_by_chance_and_others_no_worse():
    def gap_K(counts_BK, dealt):
        shares_SK = np.stack([counts_BK[dealt == s].sum(0) for s in ("val", "test")])
        return np.abs(shares_SK / counts_BK.sum(0) - 0.2).mean(0)

    ruled, by_chance = [], []
    for seed in range(20):
        counts_BK = made_up_counts(seed)
        dealt = np.array(deal_blocks(counts_BK, PATTERN))
        ruled.append(gap_K(counts_BK, dealt))
        shuffled = np.random.default_rng(seed).permuted(np.tile(dealt, (20, 1)), axis=1)
        by_chance.append(np.mean([gap_K(counts_BK, d) for d in shuffled], axis=0))
    ratio_K = np.mean(ruled, axis=0) / np.mean(by_chance, axis=0)
    assert ratio_K[-1] < 0.5
    assert ratio_K.max() < 1.2


def test_it_is_deterministic_and_accepts_no_blocks():
    counts_BK = np.random.default_rng(1).integers(0, 3, (50, 4))
    assert deal_blocks(counts_BK, PATTERN) == deal_blocks(counts_BK.copy(), PATTERN)
    assert deal_blocks(np.zeros((0, 4)), PATTERN) == []


@pytest.mark.parametrize(
    ("counts", "pattern", "message"),
    [([1, 2], ["a"], "counts_BK"), ([[-1]], ["a"], "counts_BK"), ([[1]], [], "pattern")],
)
def test_invalid_arguments_are_refused(counts, pattern, message):
    with pytest.raises(ValueError, match=message):
        deal_blocks(np.array(counts), pattern)
