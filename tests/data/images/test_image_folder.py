"""Folders of images and masks: every file format, and all errors."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from equiseg.data import DataError, ImageCard, load_card, survey_samples
from equiseg.data.images.folder import ImageFolder
from equiseg.data.images.reading import read_image
from equiseg.imbalance import ClassStatistics
from places import SHARED_DATA

REAL = SHARED_DATA
H, W = 6, 8
VALUES = np.add.outer(np.arange(H), np.arange(W)) % 3  # every class in every row


def save(array, file, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file, **options)


@pytest.fixture
def root(tmp_path):
    """Two photographs, 'a' and 'b', with 8-bit masks of the values 0, 1, 2."""
    photo = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    for name in "ab":
        save(photo, tmp_path / f"images/train/{name}.png")
        save(VALUES.astype(np.uint8), tmp_path / f"annotations/train/{name}.png")
    return tmp_path


def card(root, **changes):
    fields = {
        "name": "toy",
        "classes": {0: "sky", 1: "road", 2: "car"},
        "splits": {"train": "train"},
        "root": str(root),
    }
    return ImageCard(**(fields | changes))


def opened(root, size=None, **changes):
    return ImageFolder(card(root, **changes), "train", size)


def mask(root, array, suffix=".png", **options):
    """Give photograph 'a' another mask."""
    (root / "annotations/train/a.png").unlink()
    save(array, root / f"annotations/train/a{suffix}", **options)


def test_samples_are_the_files_in_order_of_their_names(root):
    data = opened(root)
    assert [sample.name for sample in (data[0], data[1])] == ["a", "b"]
    assert (len(data), data.classes, data.ignore_index) == (2, ("sky", "road", "car"), 255)
    image, labels, _ = data[1]
    with Image.open(root / "images/train/b.png") as photo:
        np.testing.assert_array_equal(image.permute(1, 2, 0), np.asarray(photo))
    np.testing.assert_array_equal(labels, VALUES)
    assert (image.dtype, labels.dtype) == (torch.uint8, torch.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_masks_of_8_bit(root, suffix):
    mask(root, VALUES.astype(np.uint8), suffix)
    np.testing.assert_array_equal(opened(root)[0].labels, VALUES)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_of_16_bit(root, suffix):
    many = {value: f"class {value}" for value in range(300)} | {1000 * v: "k" for v in (1, 2, 60)}
    mask(root, (VALUES * 100 + 1).astype(np.uint16), suffix)
    data = opened(root, classes=many, ignore_index=500)
    np.testing.assert_array_equal(data[0].labels, VALUES * 100 + 1)
    assert data[0].labels.dtype == torch.int64  # more classes than 8 bits can number
    mask_file = root / f"annotations/train/a{suffix}"
    mask_file.unlink()
    save(np.full((H, W), 60000, np.uint16), mask_file)
    assert set(data[0].labels.unique().tolist()) == {300}


def test_masks_with_a_palette_hold_indices_not_colours(root):
    with_palette = Image.fromarray(VALUES.astype(np.uint8))
    with_palette.putpalette([200, 10, 10, 0, 0, 0, 90, 90, 255] + [7] * 759)
    with_palette.save(root / "annotations/train/a.png")
    with Image.open(root / "annotations/train/a.png") as saved:
        assert saved.mode == "P"
    np.testing.assert_array_equal(opened(root)[0].labels, VALUES)


def test_masks_of_one_bit(root):
    mask(root, VALUES > 0)
    np.testing.assert_array_equal(opened(root)[0].labels, VALUES > 0)


def test_values_are_remapped_merged_and_ignored_as_the_card_says(root):
    mask(root, np.array([0, 1, 2, 7, 255, 9] * 8, np.uint8).reshape(H, W))
    data = opened(root, classes={9: "car", 2: "sky", 0: "car", 1: "road"}, ignore_values=[7])
    assert data[0].labels.flatten()[:6].tolist() == [0, 2, 1, 255, 255, 0]
    assert data.classes == ("car", "sky", "road")


def test_another_ignore_index_is_written_to_the_labels(root):
    mask(root, np.where(VALUES == 2, 11, VALUES).astype(np.uint8))
    labels = opened(root, classes=["sky", "road", "car"], ignore_values=[11], ignore_index=99)[0][1]
    np.testing.assert_array_equal(labels, np.where(VALUES == 2, 99, VALUES))


def test_the_background_is_known_by_its_id(root):
    assert opened(root).background is None
    assert opened(root, background="road").background == 1
    with pytest.raises(DataError, match=r"background must be one of .*'road'.* got 'void'"):
        opened(root, background="void")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".tif", ".webp"])
def test_photographs_of_every_format(root, suffix):
    flat = np.full((H, W, 3), (200, 100, 50), np.uint8)
    (root / "images/train/a.png").unlink()
    save(flat, root / f"images/train/a{suffix}")
    image = opened(root)[0].image
    assert image.shape == (3, H, W)
    assert (image.int() - torch.tensor([200, 100, 50]).view(3, 1, 1)).abs().max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_photographs_keep_their_brightness(root, suffix):
    ramp = np.linspace(0, 65535, H * W).reshape(H, W).astype(np.uint16)
    save(ramp, root / f"grey{suffix}")
    image = read_image(root / f"grey{suffix}")
    for channel in image:
        np.testing.assert_array_equal(channel, ramp // 256)


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        (np.full((H, W), 0.5, np.float32), r"0\.5\.\.0\.5 in mode F"),
        (np.full((H, W), 70000, np.int32), r"70000\.\.70000 in mode I"),
        (np.full((H, W), -3, np.int32), r"-3\.\.-3 in mode I"),
    ],
)
def test_grey_photographs_beyond_16_bit_are_refused(root, values, seen):
    save(values, root / "deep.tif")
    with pytest.raises(DataError, match=rf"deep\.tif: grey values .*{seen}; save it with 8 or 16"):
        read_image(root / "deep.tif")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_photographs_of_every_mode_become_rgb(root, mode):
    suffix = ".tif" if mode == "CMYK" else ".png"
    Image.new("RGB", (W, H), (51, 51, 51)).convert(mode).save(root / f"photo{suffix}")
    assert set(read_image(root / f"photo{suffix}").unique().tolist()) == {51}


def test_images_are_resized_smoothly_and_labels_to_the_nearest_pixel(root):
    halves = np.repeat(np.array([0, 2], np.uint8), 30)[None].repeat(40, 0)
    for name in "ab":
        save(np.stack([halves * 100] * 3, -1), root / f"images/train/{name}.png")
        save(halves, root / f"annotations/train/{name}.png")
    image, labels, _ = opened(root, size=(8, 10))[0]
    assert (image.shape, labels.shape) == ((3, 8, 10), (8, 10))
    assert labels.tolist() == [[0] * 5 + [2] * 5] * 8
    assert image[:, :, [0, 3, 6, 9]].unique().tolist() == [0, 200]
    # 60 columns to 9: the middle one covers the edge, evenly.
    assert 90 <= opened(root, size=(8, 9))[0].image[0, 0, 4] <= 110


def test_labels_larger_than_on_disk_repeat_their_pixels(root):
    labels = opened(root, size=(2 * H, 3 * W))[0].labels
    np.testing.assert_array_equal(labels, VALUES.repeat(2, 0).repeat(3, 1))


def test_nearest_labels_and_smooth_images_keep_their_place(root):
    """Labels that equal the image still equal it after both kinds of resizing."""
    ramp = np.arange(200).repeat(2)[None].repeat(100, 0).astype(np.uint8)
    for name in "ab":
        save(np.stack([ramp] * 3, -1), root / f"images/train/{name}.jpg", quality=95)
        (root / f"images/train/{name}.png").unlink()
        save(ramp, root / f"annotations/train/{name}.png")
    image, labels, _ = opened(root, size=(30, 90), classes=[str(v) for v in range(200)])[0]
    difference = (image[0].float() - labels.float())[:, 2:-2]
    assert difference.abs().max() <= 2
    assert difference.mean().abs() < 0.5  # half a pixel to one side would be 1.1


def test_a_split_may_list_its_images(root):
    data = opened(
        root, splits={"train": ["b"]}, images="images/train", annotations="annotations/train"
    )
    assert [data[i].name for i in range(len(data))] == ["b"]


def test_a_listed_name_without_a_file_is_reported(root):
    folders = {"images": "images/train", "annotations": "annotations/train"}
    with pytest.raises(DataError, match=r"\(2\):") as caught:
        opened(root, splits={"train": ["b", "c", "d"]}, **folders)
    assert f"{root}/images/train/c: no image of this name" in str(caught.value)
    assert "images/train/d: no image" in str(caught.value)


def test_all_missing_images_and_masks_are_listed(root):
    save(VALUES.astype(np.uint8), root / "images/train/c.png")
    save(VALUES.astype(np.uint8), root / "images/train/d.png")
    save(VALUES.astype(np.uint8), root / "annotations/train/e.png")
    with pytest.raises(DataError, match=r"toy/train: every image needs one mask.*\(3\):") as caught:
        opened(root)
    for line in ("c.png: no mask named c", "d.png: no mask named d", "e.png: no image named e"):
        assert line in str(caught.value)


def test_many_missing_masks_are_counted(root):
    for i in range(30):
        save(VALUES.astype(np.uint8), root / f"images/train/c{i:02}.png")
    with pytest.raises(
        DataError, match=r"\(30\):(.|\n)*c19\.png(.|\n)*\.\.\. and 10 more\n  names with a suffix"
    ):
        opened(root)


def test_two_files_of_one_name_are_refused(root):
    save(VALUES.astype(np.uint8), root / "images/train/a.tif")
    with pytest.raises(DataError, match=r"a\.tif: named as a\.png; keep one of them"):
        opened(root)


def test_absent_and_empty_folders_are_named(root):
    with pytest.raises(
        DataError, match=r"no such folder: .*photos/train, .*masks/train; check the card"
    ):
        opened(root, images="photos/{split}", annotations="masks/{split}")
    (root / "empty/train").mkdir(parents=True)
    with pytest.raises(
        DataError, match=r"no images for split 'train' in .*empty/train; they end in \.p"
    ):
        opened(root, images="empty/{split}", annotations="empty/{split}")


def test_an_unknown_split_names_the_known_ones(root):
    with pytest.raises(DataError, match=r"no split 'dev', only \['train'\]"):
        ImageFolder(card(root), "dev")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignore_index": 1}, r"ignore_index=1 is also the id of class 'road'; choose .* >= 3"),
        ({"classes": ["sky"]}, r"classes must be at least 2, got \('sky',\)"),
        ({"size": (0, 5)}, r"size must be a positive \(H, W\) or None, got \(0, 5\)"),
    ],
)
def test_invalid_cards_and_sizes_are_refused_on_opening(root, changes, message):
    with pytest.raises(DataError, match=message):
        opened(root, **changes)


def test_colour_masks_are_refused(root):
    mask(root, np.zeros((H, W, 3), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: mask must have one channel .* got mode RGB; "):
        opened(root)[0]


def test_a_mask_of_another_size_is_refused_even_if_both_are_resized(root):
    mask(root, np.zeros((W, H), np.uint8))
    for size in (None, (4, 4)):
        with pytest.raises(DataError, match=r"a\.png: mask is 6x8 .*a\.png 8x6; they must be"):
            opened(root, size=size)[0]


def test_values_that_are_not_in_the_card_are_named(root):
    mask(root, np.where(VALUES == 2, 77, VALUES).astype(np.uint8))
    with pytest.raises(DataError, match=r"a\.png: values \[77\] .* card toy; add them to classes"):
        opened(root)[0]


def test_mask_values_beyond_16_bit_are_refused(root):
    mask(root, np.full((H, W), 70000, np.int32), ".tif")
    with pytest.raises(DataError, match=r"a\.tif: mask values must be 0\.\.65535, got 70000\.\."):
        opened(root)[0]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("folder", ["images", "annotations"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_truncated_files_are_named(root, folder, suffix):
    file = root / f"{folder}/train/a{suffix}"
    (root / f"{folder}/train/a.png").unlink()
    noise = np.random.default_rng(0).integers(0, 256, (H, W), dtype=np.uint8)
    save(noise if folder == "annotations" else np.stack([noise] * 3, -1), file)
    whole = file.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - len(whole) // 5):
        file.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=rf"{folder}/train/a\{suffix}: .*repair it or leave"):
            opened(root)[0]


def test_a_far_too_large_file_is_named(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", H * W // 3)
    with pytest.raises(DataError, match=r"a\.png: not a readable image .*exceeds limit"):
        opened(root)[0]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_a_dangling_link_is_named(root):
    (root / "images/train/a.png").unlink()
    (root / "images/train/a.png").symlink_to(root / "gone.png")
    with pytest.raises(DataError, match=r"images/train/a\.png: not a readable image"):
        opened(root)[0]


def test_survey_counts_the_classes(root):
    mask(root, np.where(VALUES == 2, 255, VALUES).astype(np.uint8))
    counts_SK = survey_samples(opened(root), "train").counts_SK
    statistics = ClassStatistics.from_counts(counts_SK)
    b = np.bincount(VALUES.flat)
    assert statistics.pixels_K.tolist() == [2 * b[0], 2 * b[1], b[2]]
    assert statistics.images_K.tolist() == [2, 2, 1]
    assert statistics.num_images == 2


def test_survey_reports_every_broken_file_at_once(root):
    mask(root, np.full((H, W), 9, np.uint8))
    (root / "images/train/b.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"toy train: files that cannot be used \(2\):") as caught:
        survey_samples(opened(root), "toy train")
    assert "annotations/train/a.png: values [9]" in str(caught.value)
    assert "images/train/b.png: not a readable image" in str(caught.value)


def real(name, split, size=None):
    if not (REAL / name).is_dir():
        pytest.skip(f"the {name} images are not next to the checkout, at {REAL / name}")
    return ImageFolder(load_card(name, root=REAL / name), split, size)


@pytest.mark.parametrize(("name", "sizes"), [("camvid", (367, 101, 233)), ("ccp", (560, 80, 160))])
def test_real_splits(name, sizes):
    splits = [real(name, split) for split in ("train", "val", "test")]
    assert tuple(map(len, splits)) == sizes
    for data in splits:
        sample = data[len(data) - 1]
        assert sample.image.shape[1:] == sample.labels.shape
        assert sample.labels[sample.labels != 255].max() < len(data.classes)


def test_ccp_null_is_its_background():
    data = real("ccp", "train")
    assert (data.classes[data.background], len(data.classes)) == ("null", 44)


def test_camvid_has_its_published_imbalance():
    surveyed = survey_samples(real("camvid", "train", (180, 240)), "train")
    statistics = ClassStatistics.from_counts(surveyed.counts_SK)
    assert statistics.num_images == 367
    assert statistics.pixel_imbalance == pytest.approx(108.5, abs=1)


def test_rotated_photographs_are_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 255  # the right half, which is the lower half after the rotation
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    image = read_image(tmp_path / "photo.jpg")
    assert image.shape == (3, 60, 40)
    assert image[:, :25].max() < 20
    assert image[:, 35:].min() > 235
