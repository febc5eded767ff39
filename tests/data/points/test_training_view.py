"""The training view: it depends only on seed and key, and draws rare classes as configured."""

from collections import Counter
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from equiseg.data.loading import EpochSampler
from equiseg.data.points.sample import PointSample
from equiseg.data.points.training_view import PointCropConfig, PointTrainingView
from equiseg.data.points.transforms import PointAugmentConfig
from equiseg.data.points.voxels import collate_points

IGNORE = 255
STILL = PointAugmentConfig(
    rotate=0,
    tilt=0,
    scale=(1, 1),
    flip=0,
    jitter=(0, 0),
    colour_shift=0,
    colour_jitter=0,
    contrast=0,
    drop=0,
)
PURE = PointAugmentConfig(mix=0.5, elastic=((0.2, 0.4),), drop=0.3)


class Fields:
    """Six square fields of 20 m, of class 0, a strip of 1, and in the last one a patch of 2.

    Around each field lies a margin without labels. Class 3 occurs nowhere.
    """

    classes = ("grass", "path", "pond", "castle")
    ignore_index = IGNORE
    background = None
    groups = None
    channels = ("red", "field")
    voxel_size = 0.5

    def __len__(self):
        return 6

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        xyz_N3 = torch.rand(2000, 3, generator=generator) * torch.tensor([24.0, 24, 3]) - 2
        x, y = xyz_N3[:, 0], xyz_N3[:, 1]
        labels_N = torch.zeros(2000, dtype=torch.uint8)
        labels_N[(x > 5) & (x < 7)] = 1
        if index == 5:
            labels_N[(x > 12) & (x < 14) & (y > 12) & (y < 14)] = 2
        labels_N[(x < 0) | (x > 20) | (y < 0) | (y > 20)] = IGNORE
        features_NC = torch.full((2000, 2), index / 10)
        return PointSample(xyz_N3, features_NC, labels_N, f"field{index}")


COUNTS_SK = torch.stack(
    [torch.bincount(Fields()[i].labels_N.long(), minlength=256)[:4] for i in range(6)]
)


def view(augment=STILL, seed=0, counts_SK=COUNTS_SK, data=None, draws_S=None, **crop):
    crop = PointCropConfig(**crop)
    return PointTrainingView(data or Fields(), augment, crop, seed, counts_SK, draws_S)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one[:3], two[:3], strict=True))


def test_a_draw_depends_only_on_seed_and_key():
    crop = {"shape": "sphere", "size": 4.0, "rare": 0.5}
    one, two = view(PURE, **crop), view(PURE, **crop)
    state = torch.get_rng_state()
    backwards = {key: two[key] for key in reversed(range(18))}
    assert all(same(one[key], backwards[key]) for key in range(18))
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(one[0], one[6])  # the same field in another epoch
    assert not same(one[0], view(PURE, seed=1, **crop)[0])


def test_batches_do_not_depend_on_the_number_of_workers():
    def batches(num_workers):
        samples = view(PURE, shape="block", size=6.0, most=200, rare=0.5)
        sampler = EpochSampler(len(samples), 0)
        collate = partial(collate_points, voxel_size=0.5)
        loader = DataLoader(
            samples, 3, sampler=sampler, collate_fn=collate, num_workers=num_workers
        )
        sampler.set_epoch(2)
        return list(loader)

    torch.testing.assert_close(batches(2), batches(0), rtol=0, atol=0)


def test_without_crop_and_changes_scans_come_in_turn():
    whole = view(most=None)
    assert len(whole) == 6
    for key in range(12):
        torch.testing.assert_close(whole[key].xyz_N3, Fields()[key % 6].xyz_N3)
        assert torch.equal(whole[key].labels_N, Fields()[key % 6].labels_N)
        assert whole[key].name == f"field{key % 6}"


@pytest.mark.parametrize("shape", ["sphere", "block"])
def test_a_crop_has_its_shape_at_a_random_place(shape):
    middles = []
    for key in range(60):
        part = view(shape=shape, size=4.0)[key]
        assert 0 < len(part.labels_N) < 600
        extent = part.xyz_N3.amax(0) - part.xyz_N3.amin(0)
        assert (extent[:2] <= (8.001 if shape == "sphere" else 4.001)).all()
        middles.append((part.xyz_N3.amax(0) + part.xyz_N3.amin(0)) / 2)
    spread = torch.stack(middles)[:, :2]
    assert (spread.amin(0) < 4).all()
    assert (spread.amax(0) > 16).all()


@pytest.mark.parametrize("shape", ["none", "sphere", "block"])
def test_most_bounds_every_shape(shape):
    size = None if shape == "none" else 10.0
    assert {len(view(shape=shape, size=size, most=50)[key].labels_N) for key in range(12)} == {50}


def test_centers_are_labelled_points_if_there_are_any():
    """A crop of one point is its center."""
    assert all(view(most=1)[key].labels_N.item() != IGNORE for key in range(100))

    class Bare(Fields):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample._replace(labels_N=torch.full_like(sample.labels_N, IGNORE))

    places = torch.cat([view(data=Bare(), most=1)[key].xyz_N3 for key in range(200)])
    assert places[:, 0].min() < 0
    assert places[:, 0].max() > 20


def centers(num_draws=600, **crop):
    """How often each class is at the center."""
    samples = view(most=1, **crop)
    return Counter(samples[key].labels_N.item() for key in range(num_draws))


def test_rare_classes_are_at_the_center_with_the_given_probability():
    share_K = COUNTS_SK.sum(0) / COUNTS_SK.sum()
    assert share_K[2] < 0.005
    as_they_occur = centers()
    assert as_they_occur[2] < 15
    assert as_they_occur[0] > 480
    by_class = centers(rare=1.0)
    assert set(by_class) == {0, 1, 2}  # class 3 has no points, and is never drawn
    assert all(160 <= by_class[k] <= 240 for k in range(3))
    half = centers(rare=0.5)
    assert 68 <= half[2] <= 138


def test_rare_centering_raises_the_share_of_points_seen():
    def share(**crop):
        samples = view(shape="block", size=4.0, **crop)
        labels_N = torch.cat([samples[key].labels_N for key in range(200)])
        return (labels_N == 2).sum() / (labels_N != IGNORE).sum()

    assert share(rare=1.0) > 10 * share(rare=0.0)


def test_rare_power_favours_the_rarest():
    weights = COUNTS_SK.sum(0)[:3].double().pow(-0.5)
    expected = (600 * weights / weights.sum()).tolist()
    found = centers(rare=1.0, rare_power=0.5)
    assert [found[k] for k in range(3)] == pytest.approx(expected, abs=50)
    assert centers(rare=1.0, rare_power=4.0)[2] > 595


def test_all_scans_that_hold_a_class_are_drawn():
    samples = view(most=1, rare=1.0)
    parts = [samples[6 * key] for key in range(400)]  # in turn it would always be the first
    names = Counter(part.name for part in parts if part.labels_N.item() == 1)
    assert set(names) == {f"field{i}" for i in range(6)}
    assert {part.name for part in parts if part.labels_N.item() == 2} == {"field5"}


def test_a_mixed_scan_is_cropped_too_and_from_any_field():
    augment = PointAugmentConfig(mix=1.0, drop=0.0)
    samples = view(augment, most=30)
    parts = [samples[6 * key] for key in range(60)]
    assert {len(part.labels_N) for part in parts} == {60}
    assert {part.name for part in parts} == {f"field0+field{i}" for i in range(6)}


def test_a_sampler_draws_the_scan_that_is_mixed_in_too():
    augment = PointAugmentConfig(mix=1.0, drop=0.0)
    samples = view(augment, most=30, draws_S=torch.tensor([0.0, 0, 1.5, 0, 4.5, 0]))
    names = Counter(samples[6 * key].name for key in range(200))
    assert set(names) == {"field0+field2", "field0+field4"}
    assert names["field0+field4"] / 200 == pytest.approx(0.75, abs=0.1)


def test_counts_that_do_not_belong_to_the_data_are_refused():
    with pytest.raises(ValueError, match=r"\(samples, classes\) = \(6, 4\), got None; count the"):
        view(counts_SK=None, rare=0.1)
    with pytest.raises(ValueError, match=r"\(samples, classes\) = \(6, 4\), got \(4, 6\)"):
        view(counts_SK=COUNTS_SK.T, rare=0.1)
    with pytest.raises(
        ValueError, match="counts_SK must hold labels of some class, got 0 of every"
    ):
        view(counts_SK=torch.zeros(6, 4), rare=0.1)
    wrong = torch.zeros(6, 4)
    wrong[0, 3] = 5
    with pytest.raises(ValueError, match="got points of class 3 for 'field0', which has none"):
        view(counts_SK=wrong, rare=1.0)[0]


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        ({"shape": "cube"}, r"shape must be 'none', 'sphere' or 'block', got 'cube'"),
        ({"size": 3.0}, r"size has no effect on shape 'none', got 3\.0; choose 'sphere'"),
        ({"shape": "block"}, r"size must be above 0 m for shape 'block', got None; a radius"),
        ({"shape": "sphere", "size": 0.0}, r"size must be above 0 m for shape 'sphere', got 0\.0"),
        ({"most": 0}, r"most must be at least 1, got 0; None keeps all points"),
        ({"rare": 1.1}, r"rare must be a probability in \[0, 1\], got 1\.1; 0 never chooses"),
        ({"rare_power": -1.0}, r"rare_power must be 0 or more, got -1\.0; 0 draws all"),
    ],
)
def test_invalid_crops_are_refused(crop, message):
    with pytest.raises(ValueError, match=message):
        PointCropConfig(**crop)
