"""Batches depend on seed and epoch, not on workers or interruptions."""

from itertools import pairwise

import pytest
import torch
from torch.utils.data import Dataset

from equiseg.data import Sample
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import (
    EpochSampler,
    TrainingView,
    evaluation_loader,
    training_loader,
)

N = 10


class Pictures:
    """Ten noisy pictures; every label map has the number of its picture."""

    classes = tuple(f"picture {i}" for i in range(N))
    ignore_index = 255
    background = None

    def __init__(self, sizes=((12, 14),)):
        self.sizes = sizes

    def __len__(self):
        return N

    def __getitem__(self, index):
        height, width = self.sizes[index % len(self.sizes)]
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
        labels = torch.full((height, width), index, dtype=torch.uint8)
        return Sample(image, labels, f"picture{index}")


def loader(seed=0, num_workers=0, batch_size=4, rank=0, num_ranks=1):
    view = TrainingView(Pictures(), AugmentConfig(crop=(8, 8)), seed)
    sampler = EpochSampler(len(view), seed, rank, num_ranks)
    return training_loader(view, sampler, batch_size, num_workers=num_workers)


def epochs(loader, numbers):
    """The batches of some epochs, one after the other from one loader."""
    batches = []
    for epoch in numbers:
        loader.sampler.set_epoch(epoch)
        batches.append(list(loader))
    return batches


def draws(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_batches_do_not_depend_on_the_number_of_workers():
    assert_same(epochs(loader(num_workers=2), range(3)), epochs(loader(), range(3)))


def test_a_resumed_run_has_the_batches_of_an_uninterrupted_one():
    assert_same(epochs(loader(), [3]), epochs(loader(), range(4))[3:])


def test_batches_do_not_depend_on_the_global_generator():
    torch.manual_seed(0)
    first = epochs(loader(), [0])
    torch.manual_seed(1)
    assert_same(epochs(loader(), [0]), first)


def test_batches_depend_on_the_seed_and_on_the_epoch():
    def order(seed, epoch):
        return draws(EpochSampler(100, seed), epoch)

    assert [key - 100 for key in order(0, 1)] != order(0, 0)
    assert order(1, 0) != order(0, 0)
    views = [TrainingView(Pictures(), AugmentConfig(crop=(8, 8)), seed) for seed in (0, 1)]
    images = [views[0][3][0], views[0][3 + N][0], views[1][3][0]]  # picture 3, thrice
    assert all(not torch.equal(a, b) for a, b in pairwise([*images, images[0]]))


def test_an_epoch_draws_every_sample_once():
    sampler = EpochSampler(N, seed=5)
    for epoch in range(4):
        keys = draws(sampler, epoch)
        assert len(keys) == len(sampler) == N
        assert {key // N for key in keys} == {epoch}
        assert {key % N for key in keys} == set(range(N))


UNEVEN = torch.tensor([4.0, 1.5, 1.5, 1, 0.5, 0.5, 0.5, 0.3, 0.2, 0.0])


def uneven(rank=0, num_ranks=1):
    return EpochSampler(N, 3, rank, num_ranks, UNEVEN)


def test_samples_are_drawn_as_often_as_expected():
    sampler = uneven()
    keys = [torch.tensor(draws(sampler, epoch)) for epoch in range(400)]
    drawn = torch.stack([torch.bincount(epoch % N, minlength=N) for epoch in keys])
    assert (drawn.sum(1) == N).all()  # an epoch stays N draws
    assert (drawn - UNEVEN).abs().max() < 1  # the whole number below or above
    torch.testing.assert_close(drawn.double().mean(0), UNEVEN.double(), atol=0.08, rtol=0)


def test_even_draws_are_one_each():
    sampler = EpochSampler(N, 3, draws_S=torch.ones(N))
    for epoch in range(50):
        assert sorted(key % N for key in draws(sampler, epoch)) == list(range(N))


def test_draws_of_an_epoch_are_shuffled():
    sampler, places = uneven(), torch.zeros(N)
    for epoch in range(300):
        for place, key in enumerate(draws(sampler, epoch)):
            places[place] += key % N == 0
    assert places.min() > 80  # of 120 each


def test_the_draws_of_a_sample_are_numbered_over_the_whole_run():
    sampler = uneven()
    keys = [key for epoch in range(30) for key in draws(sampler, epoch)]
    assert len(set(keys)) == 30 * N  # never augmented alike
    for index in range(N):
        times = [key // N for key in keys if key % N == index]
        assert times == list(range(len(times)))


def test_draws_do_not_depend_on_ranks_or_interruptions():
    sampler = uneven()
    uncut = [draws(sampler, epoch) for epoch in range(8)]
    assert draws(uneven(), 7) == uncut[7]
    assert draws(sampler, 2) == uncut[2]  # back again
    for num_ranks in (2, 5):
        shares = [draws(uneven(rank, num_ranks), 5) for rank in range(num_ranks)]
        assert [key for together in zip(*shares, strict=True) for key in together] == uncut[5]
    filled = [draws(uneven(rank, 4), 5) for rank in range(4)]
    together = [key for keys in zip(*filled, strict=True) for key in keys]
    assert together == uncut[5] + uncut[5][:2]


def rare_view(**changes):
    counts_SK = 12 * 14 * torch.eye(N, dtype=torch.int64)
    config = AugmentConfig(crop=(8, 8), **{"rare": 0.5, "paste": 0.7} | changes)
    return TrainingView(Pictures(), config, 0, counts_SK)


def test_rare_draws_and_pasting_depend_only_on_seed_and_key():
    one, two = rare_view(), rare_view()
    state = torch.get_rng_state()
    backwards = {key: two[key] for key in reversed(range(20))}
    for key in range(20):
        assert_same(one[key], backwards[key])
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one[0][0], one[N][0])

    def batches(num_workers):
        sampler = EpochSampler(N, 0, draws_S=UNEVEN)
        return epochs(training_loader(rare_view(), sampler, 3, num_workers=num_workers), [2])

    assert_same(batches(2), batches(0))


@pytest.mark.parametrize("changes", [{"paste": 0.0}, {"rare": 0.0}])
def test_choosing_by_class_needs_counts(changes):
    config = rare_view(**changes).config
    with pytest.raises(ValueError, match=r"needs counts_SK of shape \(samples, classes\) = \(10,"):
        TrainingView(Pictures(), config, 0)


@pytest.mark.parametrize("num_ranks", [2, 5])
def test_ranks_share_an_epoch_without_overlap(num_ranks):
    shares = [draws(EpochSampler(N, 0, rank, num_ranks), 2) for rank in range(num_ranks)]
    assert sorted(key for share in shares for key in share) == list(range(2 * N, 3 * N))
    assert {len(share) for share in shares} == {N // num_ranks}


@pytest.mark.parametrize("num_ranks", [4, 16, 25])
def test_ranks_have_equally_many_draws_even_if_samples_do_not_divide(num_ranks):
    shares = [draws(EpochSampler(N, 0, rank, num_ranks), 0) for rank in range(num_ranks)]
    assert {len(share) for share in shares} == {-(-N // num_ranks)}
    assert {key for share in shares for key in share} == set(range(N))


def test_training_batches_are_full():
    (batches,) = epochs(loader(), [0])
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 8, 8)] * 2
    assert [tuple(labels.shape) for _, labels in batches] == [(4, 8, 8)] * 2
    assert batches[0][0].dtype == torch.float32
    assert batches[0][1].dtype == torch.int64


@pytest.mark.parametrize(("options", "most"), [({}, 10), ({"rank": 1, "num_ranks": 3}, 4)])
def test_a_batch_larger_than_the_data_is_refused(options, most):
    assert len(loader(batch_size=most, **options)) == 1
    with pytest.raises(ValueError, match=rf"at most the {most} training samples .* got 11; lower"):
        loader(batch_size=11, **options)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_reads_every_sample_unchanged_and_in_order(num_workers):
    data = Pictures()
    batches = list(evaluation_loader(data, 3, num_workers=num_workers))
    assert [len(images) for images, _ in batches] == [3, 3, 3, 1]
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    assert torch.equal(images, torch.stack([data[i].image / 255 for i in range(N)]))
    assert labels[:, 0, 0].tolist() == list(range(N))


@pytest.mark.parametrize("num_ranks", [3, 12])
def test_ranks_evaluate_every_sample_exactly_once(num_ranks):
    seen = [
        int(labels[0, 0, 0])
        for rank in range(num_ranks)
        for _, labels in evaluation_loader(Pictures(), rank=rank, num_ranks=num_ranks)
    ]
    assert sorted(seen) == list(range(N))


def test_images_of_different_sizes_need_a_crop_or_batches_of_one():
    data = Pictures(sizes=((12, 14), (14, 12)))
    sizes = [tuple(labels.shape) for _, labels in evaluation_loader(data)]
    assert sizes == [(1, 12, 14), (1, 14, 12)] * (N // 2)
    with pytest.raises(
        ValueError, match=r"one \(H, W\), got \[\(12, 14\), \(14, 12\)\]; give a cr"
    ):
        list(evaluation_loader(data, 2))
    uncropped = TrainingView(data, AugmentConfig(), 0)
    with pytest.raises(ValueError, match=r"data\.augment\.crop, data\.size"):
        list(training_loader(uncropped, EpochSampler(N, 0), N))


def test_samples_may_be_several_maps_and_labels():
    class Maps(Dataset):
        def __len__(self):
            return N

        def __getitem__(self, key):
            maps = (torch.full((4, 2, 3), float(key)), torch.full((8, 1, 2), float(key)))
            return maps, torch.full((8, 12), key)

    ((maps, labels),) = training_loader(Maps(), EpochSampler(N, 0), N)
    assert [tuple(m.shape) for m in maps] == [(N, 4, 2, 3), (N, 8, 1, 2)]
    for m in maps:
        assert torch.equal(m[:, 0, 0, 0].long(), labels[:, 0, 0])
