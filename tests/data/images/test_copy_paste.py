"""Copy-paste: a region of another image is pasted completely, with pixels and labels."""

import pytest
import torch

from equiseg.data import Sample
from equiseg.data.class_draw import ClassDraw
from equiseg.data.images.copy_paste import CopyPaste, pixel_of

H, W = 40, 60
IGNORE = 255
COUNTS_SK = torch.tensor([[0, 0, 0], [2000, 0, 33], [0, 2400, 0]])


class Shop:
    """An empty street, one with two regions of class 2, and one that is all class 1. Red is the
    label, green the column; the regions are an L and, separate from it, a bar.
    """

    classes = ("road", "sky", "sign")
    ignore_index = IGNORE
    background = None

    def __len__(self):
        return 3

    def __getitem__(self, index):
        labels = torch.full((H, W), (IGNORE, 0, 1)[index], dtype=torch.uint8)
        if index == 1:
            labels[10:16, 20:23] = 2  # an L of 21 pixels
            labels[15, 23:26] = 2
            labels[30:32, 5:11] = 2  # a bar of 12
            labels[31, 30] = IGNORE
        image = torch.stack([labels, torch.arange(W).expand(H, W), torch.zeros(H, W)])
        return Sample(image.to(torch.uint8), labels, f"street{index}")


def paste(seed=0, size=(H, W), scale=(1.0, 1.0), flip=0.0, regions=1, power=4.0, data=None):
    """Paste into a black picture of class 0."""
    draw = ClassDraw(COUNTS_SK, power, (3, 3))
    image = torch.zeros(3, *size, dtype=torch.uint8)
    labels = torch.zeros(size, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    CopyPaste(data or Shop(), draw, scale, flip, regions)(image, labels, generator)
    return image, labels


def shape_of(labels):
    """The pasted pixels, relative to their corner."""
    places = (labels == 2).nonzero()
    return {tuple(p) for p in (places - places.amin(0)).tolist()}


BAR = {(y, x) for y in range(2) for x in range(6)}
L = {(y, x) for y in range(6) for x in range(3)} | {(5, x) for x in range(3, 6)}


def test_a_region_is_pasted_completely_with_its_pixels():
    shapes, corners = [], set()
    for seed in range(150):
        image, labels = paste(seed)
        assert set(labels.unique().tolist()) == {0, 2}
        assert torch.equal(image[0] == 2, labels == 2)  # its pixels, and nothing around them
        assert not image[:, labels == 0].any()
        shapes.append(shape_of(labels))
        corners.add(tuple((labels == 2).nonzero().amin(0).tolist()))
    assert all(shape in (BAR, L) for shape in shapes)
    # A pixel is drawn, so the frequency of a region is proportional to its size.
    assert sum(shape == L for shape in shapes) / 150 == pytest.approx(21 / 33, abs=0.12)
    assert len(corners) > 120
    tops, lefts = zip(*corners, strict=True)
    assert min(tops) < 6
    assert max(tops) > H - 10
    assert min(lefts) < 6
    assert max(lefts) > W - 14


def test_a_flip_mirrors_the_region():
    mirrored = {(y, 5 - x) for y, x in L}
    shapes = [shape_of(paste(seed, flip=1.0)[1]) for seed in range(20)]
    assert mirrored in shapes
    assert L not in shapes
    half = [shape_of(paste(seed, flip=0.5)[1]) for seed in range(60)]
    assert mirrored in half
    assert L in half


def test_scale_resizes_the_region_and_its_labels():
    sizes = {len(shape_of(paste(seed, scale=(2.0, 2.0))[1])) for seed in range(20)}
    assert sizes == {4 * 21, 4 * 12}
    spread = [len(shape_of(paste(seed, scale=(0.6, 1.7))[1])) for seed in range(40)]
    assert min(spread) < 12
    assert max(spread) > 30


def test_the_number_of_pasted_regions_is_limited():
    pixels = [int((paste(seed, regions=4)[1] == 2).sum()) for seed in range(60)]
    assert min(pixels) in (12, 21)
    assert max(pixels) > 2 * 21


def test_regions_that_do_not_fit_are_skipped_before_resizing(monkeypatch):
    found = [paste(seed, size=(5, 60))[1] for seed in range(20)]  # the L is 6 high; the bar fits
    assert {bool(labels.any()) for labels in found} == {True, False}
    assert all(shape_of(labels) == BAR for labels in found if labels.any())

    monkeypatch.setattr("equiseg.data.images.copy_paste.F.interpolate", None)
    for seed in range(10):
        image, labels = paste(seed, size=(4, 4))
        assert not labels.any()
        assert not image.any()
        paste(seed, scale=(30.0, 30.0))


def test_a_region_may_touch_the_border():
    found = [paste(seed, size=(40, 6))[1] for seed in range(20)]
    assert {frozenset(shape_of(labels)) for labels in found} == {frozenset(BAR), frozenset(L)}


def test_regions_that_cover_too_much_are_skipped():
    # Class 1 covers its image: at most a quarter of the picture is pasted.
    counts = ClassDraw(torch.tensor([[0, 0, 0], [0, 0, 0], [0, 2400, 0]]), 0.0, (3, 3))
    labels = torch.zeros(2 * H, 2 * W - 1, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(3, *labels.shape, dtype=torch.uint8)
    CopyPaste(Shop(), counts, (1.0, 1.0), 0.0, 1)(image, labels, generator)
    assert not labels.any()
    wide = torch.zeros(2 * H, 2 * W, dtype=torch.int64)
    CopyPaste(Shop(), counts, (1.0, 1.0), 0.0, 1)(torch.zeros(3, 2 * H, 2 * W), wide, generator)
    assert int((wide == 1).sum()) == H * W


def test_the_result_depends_only_on_the_generator_and_the_source_is_unchanged():
    kept = [Shop()[i] for i in range(3)]

    class Kept(Shop):
        def __getitem__(self, index):
            return kept[index]

    state = torch.get_rng_state()
    options = {"scale": (0.5, 2.0), "flip": 0.5, "regions": 3, "data": Kept()}
    pairs = zip(paste(7, **options), paste(7, **options), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(paste(7, **options)[1], paste(8, **options)[1])
    for index in range(3):
        assert torch.equal(kept[index].image, Shop()[index].image)
        assert torch.equal(kept[index].labels, Shop()[index].labels)


def test_every_pixel_of_a_class_may_be_drawn():
    generator = torch.Generator().manual_seed(0)
    found = {pixel_of(Shop()[1], 2, generator) for _ in range(400)}
    assert found == {tuple(p) for p in (Shop()[1].labels == 2).nonzero().tolist()}
    with pytest.raises(ValueError, match=r"got pixels of class 2 for 'street0', which has none"):
        pixel_of(Shop()[0], 2, generator)
