"""Counts add up, and come back from JSON as they went."""

import json

import pytest
import torch

from equiseg.imbalance import ClassStatistics, ContextStatistics

TALLIES = pytest.mark.parametrize("tally", [ClassStatistics, ContextStatistics])


def masks(number=7, num_classes=5):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(num_classes + 1, (number, 9, 8), generator=generator)
    return list(labels.masked_fill(labels == num_classes, 255))


@TALLIES
def test_parts_add_up_to_the_whole(tally):
    whole = tally.from_labels(masks(), 6)
    first, second = tally.from_labels(masks()[:3], 6), tally.from_labels(masks()[3:], 6)
    alone = first.to_dict()
    assert (first + second).to_dict() == (second + first).to_dict() == whole.to_dict()
    assert (whole + tally.zeros(6)).to_dict() == whole.to_dict()
    assert first.to_dict() == alone
    assert whole.num_classes == 6


@TALLIES
def test_nothing_counted_is_zeros(tally):
    nothing = tally.zeros(4)
    assert nothing.to_dict() == tally.from_labels([], 4).to_dict()
    assert nothing.num_images == 0
    for name, counts in vars(nothing).items():
        if name != "num_images":
            assert not counts.any()
            assert counts.dtype == torch.int64
            assert counts.shape == (4,) * name.count("K")


@TALLIES
def test_a_sum_shares_no_memory_with_its_parts(tally):
    first, second = tally.from_labels(masks(), 5), tally.zeros(5)
    total = first + second
    total.add(masks()[0])
    assert first.num_images == 7
    assert total.to_dict() != first.to_dict()
    assert second.to_dict() == tally.zeros(5).to_dict()


@TALLIES
def test_a_saved_tally_comes_back(tally, tmp_path):
    counted = tally.from_labels(masks(), 5)
    counted.save(tmp_path / "counts.json")
    loaded = tally.load(tmp_path / "counts.json")
    assert loaded.to_dict() == counted.to_dict()
    loaded.add(masks()[0])  # counting goes on
    assert loaded.to_dict() == (counted + tally.from_labels(masks()[:1], 5)).to_dict()
    json.loads((tmp_path / "counts.json").read_text())


@TALLIES
def test_different_classes_do_not_add(tally):
    with pytest.raises(ValueError, match="same classes, got 3 and 4 classes; count both"):
        tally.zeros(3) + tally.zeros(4)


def test_different_tallies_do_not_add():
    with pytest.raises(TypeError):
        ClassStatistics.zeros(3) + ContextStatistics.zeros(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"counts\.json cannot be read as ClassStatistics: "),
        ("3", r"counts\.json cannot be read as ClassStatistics: "),
        ('{"pixels_K": [1]}', r"counts\.json .*got none for \['images_K', 'num_images'\]; save"),
        ('{"pixels_K": [1], "images_K": [1, 2], "num_images": 2}', r"counts\.json .*\(1,\).*\(2,"),
        ('{"pixels_K": [1], "images_K": [[1]], "num_images": 2}', r"counts\.json .*\(1, 1\)"),
        ('{"pixels_K": 1, "images_K": 1, "num_images": 2}', r"counts\.json .*\(\)"),
        ('{"pixels_K": "many", "images_K": [1], "num_images": 2}', r"counts\.json cannot be read"),
    ],
)
def test_files_that_hold_something_else_are_refused(text, message, tmp_path):
    (tmp_path / "counts.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        ClassStatistics.load(tmp_path / "counts.json")
