"""The cache of samples, which forked workers share."""

import multiprocessing
import pickle
import warnings

import pytest
import torch

from equiseg.data import CachedData, DataError, Sample, survey_samples
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import EpochSampler, TrainingView, evaluation_loader, training_loader
from equiseg.data.points.sample import PointSample
from equiseg.data.shared_arena import SharedArena

ROOM = 10**6


class Counted:
    """Ten samples that count how often they are read, in all processes; some are broken."""

    classes = ("sky", "road")
    ignore_index = 255
    background = 1

    def __init__(self, broken=(), odd=None):
        self._reads = torch.zeros(10, dtype=torch.int64).share_memory_()
        self.broken = broken
        self.odd = odd or {}

    @property
    def reads(self):
        return self._reads.tolist()

    def __len__(self):
        return 10

    def __getitem__(self, index):
        self._reads[index] += 1
        if index in self.broken:
            raise DataError(f"file{index}.png: damaged")
        labels = torch.full((4, 5), index % 2, dtype=torch.uint8)
        labels[0] = self.odd.get(index, 255)
        return Sample(torch.full((3, 4, 5), index, dtype=torch.uint8), labels, f"image{index}")


def same(one, other):
    return all(
        torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )


def test_the_cache_looks_like_the_data():
    cached = CachedData(Counted(), SharedArena(ROOM))
    assert (len(cached), cached.classes, cached.ignore_index) == (10, ("sky", "road"), 255)
    assert cached.background == 1
    for _ in range(2):
        for i in range(10):
            assert type(cached[i]) is Sample
            assert same(cached[i], Counted()[i])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32, torch.int64])
def test_samples_of_any_type_and_shape_are_kept(dtype):
    class Scans(Counted):
        def __getitem__(self, index):
            self._reads[index] += 1
            xyz_N3 = torch.arange(3 * index).view(3, index).T.to(dtype)  # not contiguous
            return PointSample(xyz_N3, torch.ones(index, 1), torch.zeros(index), "scan")

    cached = CachedData(Scans(), SharedArena(ROOM))
    for _ in range(2):
        for i in range(10):
            assert type(cached[i]) is PointSample
            assert same(cached[i], Scans()[i])
    assert cached.data.reads == [1] * 10


def test_samples_are_kept_while_there_is_room_and_others_read_each_time():
    data = Counted()
    cached = CachedData(data, SharedArena(900))
    for _ in range(4):
        for index in (7, 2, 2, 5, 0):
            cached[index]
    assert [data.reads[i] for i in (7, 2)] == [1, 1]
    assert data.reads[0] == 4
    assert 0 < cached.arena.used_bytes <= 900


def test_no_room_keeps_nothing():
    data = Counted()
    cached = CachedData(data, SharedArena(0))
    cached[3], cached[3]
    assert (data.reads[3], cached.arena.used_bytes) == (2, 0)


def test_more_room_than_the_machine_has_is_no_error():
    cached = CachedData(Counted(), SharedArena(10**17))
    cached[3], cached[3]
    assert cached.data.reads[3] == 1


def test_data_sets_share_the_room():
    arena = SharedArena(900)
    first, second = CachedData(Counted(), arena), CachedData(Counted(), arena)
    for index in range(10):
        first[index], second[index]
    assert same(second[0], Counted()[0])
    assert arena.used_bytes <= 900


def test_workers_fill_the_cache_for_all_processes():
    data = Counted()
    cached = CachedData(data, SharedArena(ROOM))
    for _ in range(2):
        for _ in evaluation_loader(cached, num_workers=2):
            pass
    assert data.reads == [1] * 10
    assert all(same(cached[i], Counted()[i]) for i in range(10))
    assert data.reads == [1] * 10


def _read_all(cached, start):
    start.wait()
    for index in range(10):
        cached[index]


def test_a_sample_that_two_processes_read_at_once_is_kept_once():
    context = multiprocessing.get_context("fork")
    cached, start = CachedData(Counted(), SharedArena(ROOM)), context.Event()
    readers = [context.Process(target=_read_all, args=(cached, start)) for _ in range(3)]
    for reader in readers:
        reader.start()
    start.set()
    for reader in readers:
        reader.join()
    alone = CachedData(Counted(), SharedArena(ROOM))
    for index in range(10):
        alone[index]
    assert cached.arena.used_bytes == alone.arena.used_bytes


def test_a_process_that_is_not_forked_reads_the_data():
    cached = CachedData(Counted(), SharedArena(ROOM))
    cached.sizes = frozenset({(4, 5)})
    cached[3]
    copy = pickle.loads(pickle.dumps(cached))
    assert (copy.sizes, copy.arena.used_bytes) == ({(4, 5)}, 0)
    assert same(copy[3], cached[3])


def test_training_and_evaluation_do_not_write_into_the_cache():
    class Large(Counted):
        def __getitem__(self, index):
            generator = torch.Generator().manual_seed(index)
            image = torch.randint(0, 256, (3, 32, 32), generator=generator, dtype=torch.uint8)
            labels = torch.randint(0, 2, (32, 32), generator=generator)
            return Sample(image, labels, f"image{index}")

    cached = CachedData(Large(), SharedArena(ROOM))
    counts_SK = survey_samples(cached, "train").counts_SK
    config = AugmentConfig(crop=(16, 16), paste=0.9, rare=0.5)
    view = TrainingView(cached, config, 0, counts_SK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of tensors that must not be written to
        for _ in training_loader(view, EpochSampler(10, 0), 2):
            pass
        for _ in evaluation_loader(cached):
            pass
    assert all(same(cached[i], Large()[i]) for i in range(10))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_survey_fills_the_cache(num_workers):
    data = Counted()
    cached = CachedData(data, SharedArena(ROOM))
    surveyed = survey_samples(cached, "train", num_workers=num_workers)
    cached[4]
    assert data.reads == [1] * 10
    assert surveyed.counts_SK.sum(0).tolist() == [5 * 15, 5 * 15]
    assert surveyed.sizes == {(4, 5)}


def test_a_survey_shows_its_progress():
    seen = []

    def track(indices, what):
        for index in indices:
            seen.append((what, index))
            yield index

    survey_samples(Counted(), "train", track=track)
    assert seen == [("train", index) for index in range(10)]


def test_a_survey_continues_after_a_broken_file():
    data = Counted(broken=(2, 5, 9))
    with pytest.raises(DataError, match=r"train: files that cannot be used \(3\):") as caught:
        survey_samples(data, "train")
    assert data.reads == [1] * 10
    assert [f"file{i}.png" in str(caught.value) for i in (2, 3, 5, 9)] == [True, False, True, True]


def test_a_survey_checks_the_labels_of_any_data_set():
    with pytest.raises(DataError, match=r"train: .*\(2\):") as caught:
        survey_samples(Counted(odd={3: 2, 8: 77}), "train")
    assert "image3: labels must be class ids 0..1 or ignore_index=255, got 2" in str(caught.value)
    assert "image8: labels must be class ids 0..1 or ignore_index=255, got 77" in str(caught.value)
