"""Which image and mask belong together: suffixes, nested folders, Unicode, hidden files, lists."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from equiseg.data import DataError, ImageCard, load_card
from equiseg.data.images.folder import ImageFolder

VALUES = np.zeros((4, 4), np.uint8)


def save(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(VALUES).save(root / name)


def opened(root, split="train", **fields):
    fields = {"name": "toy", "classes": ["a", "b"], "splits": {"train": "train"}} | fields
    return ImageFolder(ImageCard(root=str(root), **fields), split)


CITIES = {
    "image": "leftImg8bit/{split}/{city}/{name}_leftImg8bit.png",
    "annotation": "gtFine/{split}/{city}/{name}_gtFine_labelIds.png",
    "splits": {"train": "train", "val": "val"},
}


def test_patterns_find_suffixes_in_nested_folders(tmp_path):
    for split, city in (("train", "aachen"), ("train", "ulm"), ("val", "bonn")):
        for number in (0, 1):
            save(tmp_path, f"leftImg8bit/{split}/{city}/{city}_{number}_leftImg8bit.png")
            save(tmp_path, f"gtFine/{split}/{city}/{city}_{number}_gtFine_labelIds.png")
            save(tmp_path, f"gtFine/{split}/{city}/{city}_{number}_gtFine_color.png")
    data = opened(tmp_path, **CITIES)
    assert data.names == ["aachen_0", "aachen_1", "ulm_0", "ulm_1"]
    assert data[2].name == "ulm_0"
    assert data.pairs[2].mask == str(tmp_path / "gtFine/train/ulm/ulm_0_gtFine_labelIds.png")
    assert opened(tmp_path, "val", **CITIES).names == ["bonn_0", "bonn_1"]
    listed = CITIES | {"splits": {"train": ["ulm_1", "aachen/aachen_0"]}}
    listed["image"] = listed["image"].replace("{split}", "train")
    listed["annotation"] = listed["annotation"].replace("{split}", "train")
    assert opened(tmp_path, **listed).names == ["ulm_1", "aachen_0"]


def test_a_pair_has_the_same_texts_in_all_fields(tmp_path):
    save(tmp_path, "img/train/ulm/0.jpg", "img/train/bonn/0.jpg")
    save(tmp_path, "mask/train/bonn/0_m.png", "mask/train/aachen/0_m.png")
    patterns = {"image": "img/{split}/{city}/{name}", "annotation": "mask/{split}/{city}/{name}_m"}
    with pytest.raises(DataError, match=r"\(2\):") as caught:
        opened(tmp_path, **patterns)
    assert "ulm/0.jpg: no mask named ulm/0" in str(caught.value)
    assert "aachen/0_m.png: no image named aachen/0" in str(caught.value)
    save(tmp_path, "mask/train/ulm/0_m.png", "img/train/aachen/0.jpg")
    # One name in three folders: samples are named by both.
    assert opened(tmp_path, **patterns).names == ["aachen-0", "bonn-0", "ulm-0"]


def test_the_same_field_is_the_same_text(tmp_path):
    save(tmp_path, "ulm/ulm_7.png", "ulm/bonn_8.png", "masks/ulm_7.png")
    data = opened(
        tmp_path,
        image="{city}/{city}_{name}.png",
        annotation="masks/{city}_{name}.png",
        splits={"train": ""},
    )
    assert data.names == ["7"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": "{split}/{name}.png"}, r"annotation must be a pattern .* got None"),
        ({"image": "{split}/a.png", "annotation": "{name}"}, r"image must .* has no \{name\}"),
        ({"image": "{a}/{name}", "annotation": "{b}/{name}"}, r"the same names in braces"),
        ({"image": "{a}{name}", "annotation": "{a}{name}"}, r"two fields need a text"),
        ({"image": "{name:>9}", "annotation": "{name}"}, r"image must be .* got '\{name:>9\}'"),
        ({"image": "{name", "annotation": "{name}"}, r"image must be a pattern"),
        (
            {"image": "{split}/{name}", "annotation": "{name}", "images": "pictures"},
            r"image and annotation replace images and annotations",
        ),
        ({"images": "images/{split:99999999999}"}, r"images must be a folder name"),
        ({"images": "images/{split!r}"}, r"images must be a folder name"),
        ({"images": "images/{split.__class__}"}, r"images must be a folder name"),
    ],
)
def test_patterns_that_cannot_work_are_refused(tmp_path, fields, message):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, **fields)


def test_names_with_a_suffix_are_refused_with_the_cure(tmp_path):
    save(tmp_path, "images/train/a.png", "annotations/train/a_mask.png")
    with pytest.raises(DataError, match=r"(?s)no mask named a.*suffix.*image:.*annotation:"):
        opened(tmp_path)


def test_images_in_folders_below_are_refused_with_the_cure(tmp_path):
    save(tmp_path, "images/train/ulm/a.png", "annotations/train/ulm/a.png")
    with pytest.raises(DataError, match=r'such as ulm\?.*image: "images/\{split\}/\{folder\}/'):
        opened(tmp_path)
    cure = {
        "image": "images/{split}/{folder}/{name}",
        "annotation": "annotations/{split}/{folder}/{name}",
    }
    assert opened(tmp_path, **cure).names == ["a"]


def test_names_of_one_look_and_other_unicode_forms_are_one_name(tmp_path):
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    save(tmp_path, f"images/train/{composed}.png", f"annotations/train/{apart}.png")
    assert opened(tmp_path).names == [composed]
    listed = {"splits": {"train": [apart]}, "images": "images/train"}
    assert opened(tmp_path, annotations="annotations/train", **listed).names == [composed]
    save(tmp_path, f"images/train/{apart}.png")
    if len(list((tmp_path / "images/train").iterdir())) == 2:  # this file system keeps both
        with pytest.raises(DataError, match=r"named as .*; keep one of them"):
            opened(tmp_path)


def test_names_that_differ_in_case_are_named(tmp_path):
    save(tmp_path, "images/train/A1.png", "annotations/train/a1.png")
    with pytest.raises(DataError, match=r"A1\.png: no mask named A1 \(a1 differs in upper and"):
        opened(tmp_path)


def test_files_of_systems_and_editors_are_no_images(tmp_path):
    save(tmp_path, "images/train/a.PNG", "annotations/train/a.png")
    for folder in ("images", "annotations"):
        for name in ("._a.png", ".DS_Store", "Thumbs.db", ".ipynb_checkpoints/a-checkpoint.png"):
            file = tmp_path / folder / "train" / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"junk")
    assert opened(tmp_path).names == ["a"]


def written_card(folder, splits, more=""):
    file = folder / "card.yaml"
    file.write_text(
        f"name: toy\nroot: .\nclasses: [a, b]\nsplits: {splits}\n{more}", encoding="utf-8"
    )
    return file


ONE_FOLDER = "images: images\nannotations: annotations"


def test_splits_may_be_text_files_of_names(tmp_path):
    save(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "annotations") for n in "abc"))
    (tmp_path / "train.txt").write_bytes("\ufeffa\r\n\r\nc\r\n".encode())
    (tmp_path / "val.txt").write_text("b")
    card = load_card(written_card(tmp_path, "{train: train.txt, val: val.txt}", ONE_FOLDER))
    assert ImageFolder(card, "train").names == ["a", "c"]
    assert ImageFolder(card, "val").names == ["b"]
    (tmp_path / "val.txt").write_text("b\nc")
    card = load_card(written_card(tmp_path, "{train: train.txt, val: val.txt}", ONE_FOLDER))
    with pytest.raises(DataError, match=r"1 in the list of val also in train: c;"):
        ImageFolder(card, "train")
    for content, message in ((b"", r"lists no names"), (b"caf\xe9", r"val\.txt: not UTF-8")):
        (tmp_path / "val.txt").write_bytes(content)
        with pytest.raises(DataError, match=message):
            load_card(written_card(tmp_path, "{train: train.txt, val: val.txt}", ONE_FOLDER))


@pytest.mark.parametrize(
    ("splits", "more", "message"),
    [
        ("{train: train, val: val}", ONE_FOLDER, r"no effect, as no pattern has \{split\}"),
        ("{train: x, val: x}", "", r"splits train and val are the same folder 'x'"),
        ("{train: [a, b, a]}", ONE_FOLDER, r"train lists 1 name\(s\) more than once: \['a'\]"),
        ("{train: [a, b], val: [b]}", ONE_FOLDER, r"1 in the list of val also in train: b"),
        ("{1: [a, b]}", ONE_FOLDER, r"splits must be names, got \[1\]"),
    ],
)
def test_splits_that_share_images_are_refused(tmp_path, splits, more, message):
    save(tmp_path, *(f"{folder}/{n}.png" for folder in ("images", "annotations") for n in "ab"))
    with pytest.raises(DataError, match=message):
        ImageFolder(load_card(written_card(tmp_path, splits, more)), "train")


def test_names_are_listed_without_suffix(tmp_path):
    save(tmp_path, "images/a.png", "annotations/a.png")
    folders = {"images": "images", "annotations": "annotations"}
    with pytest.raises(DataError, match=r"a\.png: no image of this name; list names without suf"):
        opened(tmp_path, splits={"train": ["a.png"]}, **folders)


def test_masks_drawn_on_a_photograph_before_it_was_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path, "annotations/train/a.png")
    (tmp_path / "images/train").mkdir(parents=True)
    photo = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    photo.save(tmp_path / "images/train/a.jpg", exif=exif)
    with pytest.warns(UserWarning, match=r"a\.jpg: EXIF data turn this image without changing"):
        opened(tmp_path)[0]
    photo.resize((8, 4)).save(tmp_path / "images/train/a.jpg", exif=exif)
    Image.fromarray(np.zeros((4, 8), np.uint8)).save(tmp_path / "annotations/train/a.png")
    with pytest.raises(DataError, match=r"mask is 8x4 .* a\.jpg 4x8; .*EXIF data turn the image"):
        opened(tmp_path)[0]
