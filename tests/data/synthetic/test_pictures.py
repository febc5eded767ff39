"""The built-in pictures: a picture depends only on its index, and two dials are independent."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.pictures.dataset import RoomPictures
from equiseg.data.synthetic.pictures.layout import CEILING, HOST_K, KINDS, Plan, compose

SMALL = (64, 80)
IMBALANCES = (30.0, 1000.0)
CONTEXTS = (0.0, 0.5, 1.0)


@lru_cache
def measure(imbalance, context, num_classes=20, num_images=320):
    """Pixel shares (K,), and the bits that a thing's neighbouring classes tell about its class."""
    config = PicturesConfig(num_classes, SMALL, imbalance, context)
    labels = np.stack([s.labels.numpy() for s in RoomPictures(config, "train", num_images)])
    labels, K = labels.astype(int), num_classes
    shares_K = np.bincount(labels.ravel(), minlength=K) / labels.size
    pairs_KK = np.zeros((K, K))
    for a, b in (
        (labels[:, 1:], labels[:, :-1]),
        (labels[:, :, 1:], labels[:, :, :-1]),
    ):
        pairs_KK += np.bincount((a * K + b).ravel(), minlength=K * K).reshape(K, K)
    pairs_KK += pairs_KK.T
    np.fill_diagonal(pairs_KK, 0)
    # Every class has the same weight, so that the imbalance itself is not measured.
    seen = pairs_KK[CEILING + 1 :] / pairs_KK[CEILING + 1 :].sum(1, keepdims=True)
    mean = np.broadcast_to(seen.mean(0), seen.shape)
    on = seen > 0
    return shares_K, float((seen[on] * np.log2(seen[on] / mean[on])).sum() / len(seen))


def same(a, b):
    return torch.equal(a.image, b.image) and torch.equal(a.labels, b.labels) and a.name == b.name


def test_an_image_depends_only_on_config_split_and_index():
    config = PicturesConfig(image_size=SMALL)
    whole, other = RoomPictures(config, "train", 130), RoomPictures(config, "train", 70)
    forward = [whole[i] for i in (0, 1, 68, 69)]
    backward = [other[i] for i in (69, 68, 1, 0)][::-1]
    assert all(map(same, forward, backward))
    assert same(whole[-130], forward[0])


def test_workers_give_the_same_images():
    data = RoomPictures(PicturesConfig(image_size=SMALL), "val", 5)
    loader = DataLoader(data, batch_size=None, num_workers=2)
    assert all(same(data[i], sample) for i, sample in enumerate(loader))


def test_splits_seeds_and_indices_differ():
    config = PicturesConfig(image_size=SMALL)
    images = [
        RoomPictures(config, split, 2)[i].image
        for split in ("train", "val", "test")
        for i in (0, 1)
    ]
    images.append(RoomPictures(PicturesConfig(image_size=SMALL, seed=1), "train", 2)[0].image)
    assert len({image.numpy().tobytes() for image in images}) == len(images)


def test_samples_keep_the_interface():
    data = RoomPictures(PicturesConfig(num_classes=7, image_size=(50, 70)), "test", 3)
    samples = list(data)
    assert len(data) == len(samples) == 3
    assert data.classes == ("wall", "floor", "ceiling", "window", "rug", "sofa", "table")
    assert data.ignore_index == 255
    assert len({sample.name for sample in samples}) == 3
    for sample in samples:
        assert sample.image.shape == (3, 50, 70)
        assert sample.labels.shape == (50, 70)
        assert sample.image.dtype == sample.labels.dtype == torch.uint8
        assert int(sample.labels.max()) < 7
        assert sample.image.float().std() > 10
    with pytest.raises(IndexError, match="below 3"):
        data[3]


@pytest.mark.parametrize("imbalance", IMBALANCES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_imbalance_dial_sets_the_frequencies_at_any_context(imbalance, context):
    shares_K, _ = measure(imbalance, context)
    assert shares_K.max() / shares_K.min() == pytest.approx(imbalance, rel=0.35)
    np.testing.assert_allclose(shares_K, PicturesConfig(imbalance=imbalance).shares, rtol=0.4)


def test_the_context_dial_sets_the_information_of_neighbours_at_any_imbalance():
    none, half, full = [[measure(i, c)[1] for i in IMBALANCES] for c in CONTEXTS]
    assert max(none) < 0.25
    assert max(none) < 0.7 * min(half)
    assert max(half) < 0.7 * min(full)


@pytest.mark.parametrize("num_classes", [4, 12])
def test_fewer_classes_keep_the_imbalance(num_classes):
    shares_K, _ = measure(300.0, 0.9, num_classes)
    assert len(shares_K) == num_classes
    assert shares_K.max() / shares_K.min() == pytest.approx(300, rel=0.35)


@pytest.mark.parametrize("context", [0.0, 1.0])
def test_with_full_context_every_object_is_at_its_host(context):
    rng = np.random.default_rng(0)
    shares = PicturesConfig(context=context).shares
    guests = hosted = 0
    for _ in range(200):
        scene = compose(Plan.of(shares), (96, 128), context, rng.random((2, len(KINDS))), rng)
        for thing in scene.things:
            if KINDS[thing.k].place != "rests":
                continue
            x, y = thing.left + thing.width / 2, thing.top + thing.height * (1 - thing.sunk)
            hosts = [t for t in scene.things if t.k == HOST_K[thing.k]]
            guests += 1
            hosted += any(
                t.left <= x <= t.left + t.width and t.top <= y <= t.top + t.height for t in hosts
            )
    assert guests > 200
    assert hosted == guests if context else hosted < 0.2 * guests


def test_a_host_comes_before_its_guests():
    assert all(host <= k for k, host in enumerate(HOST_K))


@pytest.mark.parametrize(
    ("dials", "named"),
    [
        ({"num_classes": 3}, "num_classes must be 4 to 20.*got 3"),
        ({"num_classes": 21}, "num_classes"),
        ({"image_size": (47, 128)}, r"image_size.*\(47, 128\)"),
        ({"image_size": (96,)}, "image_size"),
        ({"imbalance": 5.0}, "imbalance must be 10 to 3000, got 5.0"),
        ({"imbalance": float("nan")}, "imbalance"),
        ({"context": 1.1}, "context.*got 1.1"),
        ({"seed": -1}, "seed"),
    ],
)
def test_dials_out_of_range_are_refused(dials, named):
    with pytest.raises(ValueError, match=named):
        PicturesConfig(**dials)


@pytest.mark.parametrize(("split", "num_images"), [("training", 3), ("train", 0)])
def test_a_wrong_split_or_length_is_refused(split, num_images):
    with pytest.raises(ValueError, match=r"split must be|num_images must be"):
        RoomPictures(PicturesConfig(), split, num_images)
