"""Joint transforms: image and labels change together, and depend on one generator."""

import pytest
import torch

from equiseg.data import Sample
from equiseg.data.class_draw import ClassDraw
from equiseg.data.images.transforms import AugmentConfig, augment, to_tensors

H, W = 60, 90
IGNORE = 255
PADDING = torch.tensor([124, 116, 104]).view(3, 1, 1) / 255
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "flip": 0.0, "scale": (1.0, 1.0)}


def self_describing(height=H, width=W):
    """Red is the column, green the row; the label is the column too."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([columns, rows, torch.zeros_like(rows)]).to(torch.uint8)
    return Sample(image, columns.to(torch.uint8), "ramp")


def noise(height=H, width=W):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    return Sample(image, image[0] % 7, "noise")


def run(sample, seed=0, ignore_index=IGNORE, **changes):
    generator = torch.Generator().manual_seed(seed)
    return augment(sample, AugmentConfig(**changes), ignore_index, generator)


def test_the_result_depends_only_on_the_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    image, labels = run(noise(), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, labels_again = run(noise(), seed=3)
    assert torch.equal(image, again)
    assert torch.equal(labels, labels_again)
    assert len({run(noise(), seed=s)[0].sum().item() for s in range(20)}) == 20


def test_the_sample_is_not_modified():
    sample, untouched = noise(), noise()
    for config in ({}, STILL):
        image, labels = run(sample, **config)
        image.zero_(), labels.zero_()
    assert torch.equal(sample.image, untouched.image)
    assert torch.equal(sample.labels, untouched.labels)


def test_without_changes_the_sample_is_returned_as_it_is():
    for image, labels in (run(noise(), **STILL), to_tensors(noise())):
        torch.testing.assert_close(image, noise().image / 255)
        assert torch.equal(labels, noise().labels.long())
        assert (image.dtype, labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("crop", [None, (40, 50), (80, 70), (100, 130)])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 0.8), (1.2, 2.0), (0.5, 2.0)])
def test_labels_stay_on_their_pixels(crop, scale):
    for seed in range(12):
        image, labels = run(
            self_describing(), seed, **STILL | {"crop": crop, "scale": scale, "flip": 0.5}
        )
        assert image.shape[1:] == labels.shape == (crop or (H, W))
        # Near the padding, resized colours are not columns, so these pixels are left out.
        known = (labels != IGNORE).float()[None]
        inside = torch.nn.functional.avg_pool2d(known, 9, 1, 4, count_include_pad=False)[0] == 1
        seen, meant = (image[0] * 255)[inside], labels[inside].float()
        off_border = (meant > 2) & (meant < W - 3)  # smoothing is one-sided at the image's edge
        difference = (seen - meant)[off_border]
        assert len(difference) > 200
        assert difference.abs().max() <= 1.01
        step = labels.diff()[inside[:, 1:] & inside[:, :-1]].float().mean().abs()
        assert difference.mean().abs() < 0.3 * max(step, 1)  # and not half a pixel to one side


def test_a_flip_mirrors_both():
    image, labels = run(noise(), **STILL | {"flip": 1.0})
    torch.testing.assert_close(image, noise().image.flip(-1) / 255)
    assert torch.equal(labels, noise().labels.long().flip(-1))
    flipped = [
        run(self_describing(), seed, **STILL | {"flip": 0.5})[1][0, 0] > 0 for seed in range(200)
    ]
    assert 70 <= sum(flipped) <= 130


def test_scale_above_one_magnifies():
    for scale in (0.5, 2.0):
        config = STILL | {"crop": (20, 30), "scale": (scale, scale)}
        _, labels = run(self_describing(), **config)
        steps = (labels[:, 1:] - labels[:, :-1]).float()
        assert steps.mean().item() == pytest.approx(1 / scale, abs=0.05)


def test_the_scale_is_drawn_log_uniformly():
    config = STILL | {"crop": (10, 10), "scale": (0.5, 2.0)}
    steps = [run(self_describing(), s, **config)[1][0].float().diff().mean() for s in range(300)]
    smaller = sum(bool(step > 1) for step in steps)
    assert 120 <= smaller <= 180  # one half each side of 1; uniform would give a third


def test_every_window_of_the_image_is_drawn():
    config = STILL | {"crop": (4, 3)}
    corners = {
        tuple(run(self_describing(6, 5), s, **config)[0][:2, 0, 0].mul(255).round().tolist())
        for s in range(200)
    }
    assert corners == {(column, row) for column in range(3) for row in range(3)}


def test_pixels_beyond_the_image_are_unlabelled_and_grey():
    sample = noise(6, 5)
    places = set()
    for seed in range(200):
        image, labels = run(sample, seed, ignore_index=99, **STILL | {"crop": (8, 7)})
        known = labels != 99
        top, left = known.nonzero().min(0).values.tolist()
        places.add((top, left))
        assert torch.equal(labels[top : top + 6, left : left + 5], sample.labels.long())
        torch.testing.assert_close(image[:, top : top + 6, left : left + 5], sample.image / 255)
        assert known.sum() == 30
        torch.testing.assert_close(image * ~known, PADDING * ~known)
    assert places == {(top, left) for top in range(3) for left in range(3)}


def test_classes_beyond_8_bit_survive():
    image, labels, name = noise()
    many = Sample(image, labels.long() + 400, name)
    _, augmented = run(many, ignore_index=70000, crop=(2 * H, 2 * W), scale=(0.9, 1.1))
    assert set(augmented.unique().tolist()) == {400, 401, 402, 403, 404, 405, 406, 70000}


@pytest.mark.parametrize("crop", [(1, 1), (1, 200)])
def test_a_window_is_never_empty(crop):
    image, labels = run(noise(), crop=crop, scale=(8.0, 8.0))
    assert image.shape[1:] == labels.shape == crop


def test_values_stay_between_black_and_white():
    strong = {"brightness": 0.99, "contrast": 0.99, "saturation": 0.99}
    images = [run(noise(), seed, **strong)[0] for seed in range(20)]
    assert min(image.min() for image in images) >= 0
    assert max(image.max() for image in images) <= 1
    assert max(image.mean() for image in images) > 0.6 > 0.35 > min(i.mean() for i in images)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_colour_change_has_its_effect(name):
    generator = torch.Generator().manual_seed(0)
    dim = torch.randint(80, 150, (3, 8, 8), generator=generator, dtype=torch.uint8)
    sample = Sample(dim, torch.zeros(8, 8, dtype=torch.uint8), "dim")
    grey_weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    before = dim / 255
    grey = (before * grey_weights).sum(0, keepdim=True)
    fixed = {"brightness": torch.zeros(1), "contrast": grey.mean(), "saturation": grey}[name]
    factors = []
    for seed in range(50):
        image, labels = run(sample, seed, **STILL | {name: 0.3})
        ratio = ((image - fixed) / (before - fixed)).flatten()
        factors.append(ratio.median())
        torch.testing.assert_close(image, fixed + (before - fixed) * factors[-1])
        assert not labels.any()
    assert 0.7 <= min(factors) < 0.8
    assert 1.2 < max(factors) <= 1.3


def dotted(*places, height=H, width=W):
    """Class 0 except for single pixels of class 1; red is the column, green the row."""
    sample = self_describing(height, width)
    labels = torch.zeros(height, width, dtype=torch.uint8)
    for place in places:
        labels[place] = 1
    return sample._replace(labels=labels)


def centered(sample, seed=0, counts=(1000, 1), power=4.0, **changes):
    """A crop by class; with this power, class 1 is drawn if it occurs."""
    generator = torch.Generator().manual_seed(seed)
    draw = ClassDraw(torch.tensor([counts]), power, (1, len(counts)))
    config = AugmentConfig(**STILL | {"rare": 1.0} | changes)
    return augment(sample, config, IGNORE, generator, rare=draw)


def test_a_crop_by_class_contains_the_pixel_at_a_random_place():
    places = set()
    for seed in range(300):
        _, labels = centered(dotted((30, 45)), seed, crop=(8, 5))
        (place,) = (labels == 1).nonzero().tolist()
        places.add(tuple(place))
    assert places == {(row, column) for row in range(8) for column in range(5)}


@pytest.mark.parametrize("place", [(0, 0), (0, W - 1), (H - 1, 3), (H - 1, W - 1)])
def test_a_crop_by_class_stays_inside_the_image(place):
    for seed in range(30):
        _, labels = centered(dotted(place), seed, crop=(20, 30), scale=(0.7, 2.0))
        assert IGNORE not in labels
        _, labels = centered(dotted(place), seed, crop=(20, 30))
        assert int((labels == 1).sum()) == 1


def test_a_crop_by_class_larger_than_the_image_is_placed_at_random():
    tops = set()
    for seed in range(60):
        _, labels = centered(dotted((5, 5), height=10, width=12), seed, crop=(14, 12))
        assert int((labels == 1).sum()) == 1
        tops.add(int((labels != IGNORE).nonzero()[0, 0]))
    assert tops == set(range(5))


def test_all_pixels_of_the_class_are_equally_likely():
    sample = dotted((2, 2), (50, 80))
    seen = [int(centered(sample, seed, crop=(4, 4))[0][1, 0, 0] * 255) > 25 for seed in range(200)]
    assert 70 <= sum(seen) <= 130


def test_crops_by_class_have_the_given_probability():
    sample = dotted((30, 45))
    for rare, low, high in ((0.5, 70, 130), (1.0, 200, 200)):
        held = [bool(centered(sample, s, crop=(3, 3), rare=rare)[1].any()) for s in range(200)]
        assert low <= sum(held) <= high


def test_without_a_known_class_the_crop_is_placed_at_random():
    sample = noise()._replace(labels=torch.full((H, W), IGNORE, dtype=torch.uint8))
    image, labels = centered(sample, crop=(8, 8))
    assert image.shape == (3, 8, 8)
    assert labels.eq(IGNORE).all()


def test_pasting_happens_inside_the_image_and_before_the_resize():
    def paste(image, labels, generator):
        seen.append(tuple(labels.shape))
        image[:], labels[:] = 200, 3

    seen = []
    generator = torch.Generator().manual_seed(0)
    config = AugmentConfig(**STILL | {"crop": (80, 45), "scale": (0.5, 0.5), "paste": 1.0})
    _, labels = augment(noise(), config, IGNORE, generator, paste=paste)
    assert seen == [(H, W)]  # the window is (160, 90)
    assert set(labels.unique().tolist()) == {3, IGNORE}
    assert int((labels == 3).sum()) == H // 2 * W // 2
    assert noise().labels.max() == 6  # the image itself is left as it was
    often = AugmentConfig(**STILL | {"crop": (8, 8), "paste": 0.5})
    seen.clear()
    for _ in range(200):
        augment(noise(), often, IGNORE, generator, paste=paste)
    assert 70 <= len(seen) <= 130


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rare": 1.1}, r"rare must be a probability in \[0, 1\], got 1\.1; 0 never chooses"),
        ({"rare_power": 1.0}, r"rare_power has no effect without rare, got 1\.0; set rare above 0"),
        ({"paste": -0.1}, r"paste must be a probability in \[0, 1\], got -0\.1"),
        ({"paste_power": 0.0}, r"paste_power has no effect without paste, got 0\.0"),
        ({"paste": 0.1, "paste_power": -1.0}, r"paste_power must be 0 or more, got -1\.0"),
        ({"paste_regions": 0}, r"paste_regions must be 1 to 1000, got 0"),
        ({"paste_regions": 5}, r"paste_regions has no effect without paste, got 5"),
        (
            {"scale": (0.0, 1.0)},
            r"scale must be 0\.05 <= low <= high <= 20, got \(0\.0, 1\.0\); \(1, 1\)",
        ),
        ({"scale": (2.0, 1.0)}, r"scale must be 0\.05 <= low <= high <= 20, got \(2\.0, 1\.0\)"),
        ({"scale": (1.0,)}, r"scale must be .* got \(1\.0,\)"),
        ({"crop": (0, 5)}, r"crop must be \(H, W\) of at least 1 pixel .*, got \(0, 5\)"),
        ({"crop": (5,)}, r"crop must be \(H, W\) of at least 1 pixel .*, got \(5,\)"),
        ({"flip": 1.5}, r"flip must be a probability in \[0, 1\], got 1\.5; 0 never flips"),
        ({"brightness": 1.0}, r"brightness must be in \[0, 1\), got 1\.0; 0 leaves"),
        ({"contrast": -0.1}, r"contrast must be in \[0, 1\), got -0\.1"),
        ({"saturation": 2}, r"saturation must be in \[0, 1\), got 2"),
    ],
)
def test_invalid_ranges_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AugmentConfig(**changes)


@pytest.mark.parametrize("name", ["rare", "paste"])
def test_missing_arguments_for_rare_classes_are_refused(name):
    with pytest.raises(ValueError, match=rf"config\.{name}=0\.5 needs {name}, got None; give it"):
        augment(noise(), AugmentConfig(**{name: 0.5}), IGNORE, torch.Generator())
