"""The cache of samples, and the pass that checks them."""

import pytest
import torch

from equiseg.data import CachedData, DataError, Sample, survey

BYTES = 3 * 4 * 5 + 4 * 5  # of one sample below


class Counted:
    """Ten samples that count how often they are read; some are broken."""

    classes = ("sky", "road")
    ignore_index = 255
    background = 1

    def __init__(self, broken=(), odd=None):
        self.reads = [0] * 10
        self.broken = broken
        self.odd = odd or {}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        self.reads[index] += 1
        if index in self.broken:
            raise DataError(f"file{index}.png: damaged")
        labels = torch.full((4, 5), index % 2, dtype=torch.uint8)
        labels[0] = self.odd.get(index, 255)
        return Sample(torch.full((3, 4, 5), index, dtype=torch.uint8), labels, f"image{index}")


def test_the_cache_looks_like_the_data():
    cached = CachedData(Counted(), 10**6)
    assert (len(cached), cached.classes, cached.ignore_index) == (10, ("sky", "road"), 255)
    assert cached.background == 1
    for _ in range(2):
        assert [cached[i].name for i in range(10)] == [f"image{i}" for i in range(10)]
        assert all(bool((cached[i].image == i).all()) for i in range(10))


def test_samples_in_the_budget_are_read_once_and_others_each_time():
    data = Counted()
    cached = CachedData(data, 3 * BYTES + BYTES // 2)
    for _ in range(4):
        for index in (7, 2, 2, 5, 0):
            cached[index]
    assert [data.reads[i] for i in (7, 2, 5, 0)] == [1, 1, 1, 4]
    assert cached.kept_bytes == 3 * BYTES <= cached.max_bytes


def test_no_budget_keeps_nothing():
    data = Counted()
    cached = CachedData(data, 0)
    cached[3], cached[3]
    assert (data.reads[3], cached.kept_bytes) == (2, 0)


def test_a_survey_fills_the_cache():
    data = Counted()
    cached = CachedData(data, 10**6)
    counts_SK = survey(cached, "train")
    cached[4]
    assert data.reads == [1] * 10
    assert counts_SK.sum(0).tolist() == [5 * 15, 5 * 15]


def test_a_survey_shows_its_progress():
    seen = []

    def track(indices, what):
        for index in indices:
            seen.append(index)
            yield index

    survey(Counted(), "train", track)
    assert seen == list(range(10))


def test_a_survey_continues_after_a_broken_file():
    data = Counted(broken=(2, 5, 9))
    with pytest.raises(DataError, match=r"train: files that cannot be used \(3\):") as caught:
        survey(data, "train")
    assert data.reads == [1] * 10
    assert [f"file{i}.png" in str(caught.value) for i in (2, 3, 5, 9)] == [True, False, True, True]


def test_a_survey_checks_the_labels_of_any_data_set():
    with pytest.raises(DataError, match=r"train: .*\(2\):") as caught:
        survey(Counted(odd={3: 2, 8: 77}), "train")
    assert "image3: labels must be class ids 0..1 or ignore_index=255, got 2" in str(caught.value)
    assert "image8: labels must be class ids 0..1 or ignore_index=255, got 77" in str(caught.value)
