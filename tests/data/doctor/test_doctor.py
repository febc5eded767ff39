"""Every finding on a small data set with the problem, and none on a clean one."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from equiseg.data import ImageCard, PointCard, Sample
from equiseg.data.config import DataConfig
from equiseg.data.doctor import SEVERITIES, PlannedTraining, examine, open_splits
from equiseg.data.sources import ImageSource, PointSource

SIDE = 40
VALUES = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // (SIDE * SIDE // 4)  # four stripes
CLASSES = ["sky", "road", "car", "bird"]
SMALL = PlannedTraining(batch_size=2, min_images=2)
COUNTS = {"train": 4, "val": 2, "test": 2}


def photo(seed, size=(SIDE, SIDE)):
    """A smooth grey picture, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))


def save(array, file, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file, **options)


def save_mask(values, root, name, split="train"):
    save(np.asarray(values, dtype=np.uint8), root / f"annotations/{split}/{name}.png")


@pytest.fixture
def root(tmp_path):
    """Four, two and two photographs, train_0 ... test_1, with all classes."""
    seed = 0
    for split, count in COUNTS.items():
        for index in range(count):
            save(photo(seed), tmp_path / f"images/{split}/{split}_{index}.png")
            save_mask(VALUES, tmp_path, f"{split}_{index}", split)
            seed += 1
    return tmp_path


def card(root, **changes):
    fields = {"name": "toy", "classes": CLASSES, "root": str(root)}
    return ImageCard(**(fields | {"splits": {split: split for split in COUNTS}} | changes))


def findings(a_card, **options):
    kind = PointSource if isinstance(a_card, PointCard) else ImageSource
    splits, found = open_splits(kind(DataConfig(), a_card))
    options = {"batch_size": 2, "min_images": 2} | options
    workers = options.pop("num_workers", 0)
    return found + (
        examine(splits, PlannedTraining(**options), num_workers=workers) if splits else []
    )


def only(found):
    """The only finding."""
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_clean_data_set_has_no_findings(root, num_workers):
    assert findings(card(root), num_workers=num_workers) == []


def test_missing_splits(root):
    found = findings(card(root, splits={"train": "train"}))
    assert [(f.severity, f.subject) for f in found] == [("error", "val"), ("hint", "test")]


def test_images_without_mask_are_named_and_the_others_examined(root):
    (root / "annotations/train/train_0.png").unlink()
    save_mask(np.full((SIDE, SIDE), 9), root, "train_1")
    lonely, strange = findings(card(root))
    assert (lonely.severity, lonely.subject) == ("error", "train")
    assert "train_0.png: no mask named train_0" in lonely.seen
    assert "values 9" in strange.seen


def test_splits_that_list_their_images_are_opened_in_part(root):
    images = root / "images/train"
    listed = {"train": ["train_0", "train_1", "train_9"], "val": ["train_2"], "test": ["train_3"]}
    folders = {"images": "images/train", "annotations": "annotations/train"}
    found = only(findings(card(root, splits=listed, **folders)))
    assert f"{images / 'train_9'}: no image of this name" in found.seen


def test_an_ignore_value_that_is_also_a_class_is_one_error(root):
    found = only(findings(card(root, ignore_index=2)))
    assert (found.severity, found.subject) == ("error", "card")
    assert "also the id of class 'car'" in found.seen
    assert "both classes and ignored" in only(findings(card(root, ignore_values=[1]))).seen


def test_broken_files_are_listed_and_the_others_examined(root):
    (root / "images/train/train_0.png").write_bytes(b"no image")
    (root / "annotations/train/train_1.png").write_bytes(b"no mask")
    save_mask(VALUES[:, :-1], root, "train_2")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("error", "train")
    assert found.seen.startswith("3 files")
    for said in ("train_0.png: not a readable image", "train_1.png: not a readable image"):
        assert said in found.seen
    assert "mask is 39x40 (width x height), its image train_2.png 40x40" in found.seen


def test_masks_of_colours(root):
    save(photo(1), root / "annotations/val/val_0.png")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("error", "val")
    assert "val_0.png: mask must have one channel" in found.seen
    assert "one value a pixel" in found.advice


def test_all_problems_of_a_broken_pair_are_reported_together(root):
    (root / "images/train/train_0.png").write_bytes(b"no image")
    save_mask(np.full((SIDE, SIDE), 9), root, "train_0")
    assert [f.seen[:10] for f in findings(card(root))] == ["1 file tha", "values 9 a"]


def test_unknown_values(root):
    strange = VALUES.copy()
    strange[:5] = 77
    save_mask(strange, root, "train_0")
    found = only(findings(card(root)))
    assert found.severity == "error"
    assert "values 77 are neither classes nor ignored, on 200 pixels in 1 file" in found.seen
    assert "ignore_values" in found.advice


def test_smooth_edges(root):
    smooth = 60 * VALUES
    smooth[20, ::4] = np.arange(10) * 3 + 1
    save_mask(smooth, root, "train_0")
    spread = {60 * k: name for k, name in enumerate(CLASSES)} | dict(enumerate(CLASSES))
    assert "nearest-neighbour" in only(findings(card(root, classes=spread))).advice


def test_masks_with_lossy_compression_are_recognised(root):
    (root / "annotations/train/train_0.png").unlink()
    noisy = np.clip(VALUES * 60 + photo(0)[..., 0] // 9, 0, 255).astype(np.uint8)
    save(noisy, root / "annotations/train/train_0.jpg", quality=30)
    assert "compressed with loss (JPEG)" in only(findings(card(root))).seen


def test_masks_that_count_from_1_are_recognised(root):
    for file in (root / "annotations").rglob("*.png"):
        save((VALUES + 1).astype(np.uint8), file)
    *values, absent = findings(card(root))
    assert [f.severity for f in values] == ["error"] * 3
    assert all("{1: sky, ..., 4: bird}" in f.advice for f in values)
    assert "no image holds 1 class (sky)" in absent.seen


def test_masks_with_0_for_unlabelled_are_recognised(root):
    save_mask(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // (SIDE * SIDE // 5), root, "train_0")
    assert "ignore_values: [0]" in only(findings(card(root))).advice


def test_a_class_saved_as_255_is_reported(root):
    for file in (root / "annotations").rglob("*.png"):
        save(np.where(VALUES > 1, 255, 0).astype(np.uint8), file)
    found = only([f for f in findings(card(root, classes=["sky", "road"])) if f.severity != "hint"])
    assert found.severity == "error"
    assert "only class 'sky' occurs" in found.seen
    assert "{0: ..., 255: ...}" in found.advice


def test_samples_and_splits_without_labels(root):
    save_mask(np.full((SIDE, SIDE), 255), root, "train_0")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("warning", "train")
    assert "1 image without a labelled pixel: train_0" in found.seen
    for index in range(1, 4):
        save_mask(np.where(np.eye(SIDE) > 0, VALUES, 255), root, f"train_{index}")
    sparse = [f for f in findings(card(root)) if "% of the pixels are ignored" in f.seen]
    assert only(sparse).severity == "hint"


def test_absent_classes(root):
    save_mask(VALUES.clip(0, 2), root, "val_0", "val")
    save_mask(VALUES.clip(0, 2), root, "val_1", "val")
    found = only(findings(card(root)))
    assert (found.severity, found.seen) == ("warning", "val lacks 1 class (bird)")
    for index in range(4):
        save_mask(VALUES.clip(0, 2), root, f"train_{index}")
    found = only(findings(card(root)))
    assert found.seen == "train lacks 1 class (bird), which other splits hold"
    found = only(findings(card(root, classes=[*CLASSES, "boat"], splits={"train": "test"}))[2:])
    assert found.seen == "no image holds 1 class (boat)"
    for index in range(2):
        save_mask(VALUES.clip(1), root, f"test_{index}", "test")
    found = [f for f in findings(card(root)) if f.subject == "test"]
    assert only(found).severity == "hint"
    assert only(found).seen == "test lacks 1 class (sky)"


def test_other_classes_of_broken_masks_are_counted(root):
    for index in range(2):
        values = VALUES.copy()
        values[0, 0] = 99
        save_mask(values, root, f"val_{index}", "val")
    assert "values 99" in only(findings(card(root))).seen


def test_rare_classes(root):
    for index in range(1, 4):
        save_mask(VALUES.clip(0, 2), root, f"train_{index}")
    found = only(findings(card(root)))
    assert found.severity == "warning"
    assert found.seen == "1 class in fewer than 2 training images (in how many): bird (1)"
    assert "50% of batches of 2 hold 'bird'" in found.advice  # it is in 1 of 4 images


def test_classes_too_small_for_a_center_or_a_cell(root):
    tiny = VALUES.clip(0, 2)
    tiny[:3, :5] = 3
    for index in range(4):
        save_mask(tiny, root, f"train_{index}")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("hint", "train")
    assert "1 class (bird) never cover 16 pixels" in found.seen
    assert "never cover 16" in only(findings(card(root), min_count=30)).seen
    found = only(findings(card(root), min_count=31))  # a batch of 2 holds at most 30
    assert found.severity == "warning"
    assert "min_count of center_collapse" in found.advice


def test_sizes(root):
    save(photo(0, (SIDE, 100)), root / "images/train/train_0.png")
    save_mask(np.resize(VALUES, (SIDE, 100)), root, "train_0")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("warning", "train")
    assert "2 sizes, from 40x40 to 40x100" in found.seen
    assert "--data.augment.crop '[32, 32]'" in found.advice
    for index, width in enumerate((830, 820, 830)):
        save(photo(index, (550, width)), root / f"images/train/train_{index}.png")
        save_mask(np.resize(VALUES, (550, width)), root, f"train_{index}")
    assert "--data.size '[352, 512]'" in findings(card(root))[0].advice  # the shape of the photos
    save(photo(0, (SIDE, 20)), root / "images/train/train_0.png")
    save_mask(np.resize(VALUES, (SIDE, 20)), root, "train_0")
    small, _ = findings(card(root))
    assert small.severity == "error"
    assert "1 image with a side below 32 pixels, such as 40x20" in small.seen


def test_photographs_that_exif_data_turn_without_changing_their_size(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images/train/train_0.png").unlink()
    save(photo(0), root / "images/train/train_0.jpg", exif=exif)
    with pytest.warns(UserWarning, match="EXIF data turn this image"):
        found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("warning", "train")
    assert "1 image that EXIF data turn without changing the size: train_0" in found.seen


def test_12_bit_images_in_16_bit_files_are_nearly_black(root):
    save(photo(0)[..., 0].astype(np.uint16) * 16, root / "images/train/train_0.png")
    with pytest.warns(UserWarning, match="without a value above 4095"):
        found = only(findings(card(root)))
    assert "1 image nearly black, without a value above 31 of 255: train_0" in found.seen


def test_fewer_samples_than_a_batch(root):
    found = only(findings(card(root), batch_size=5))
    assert found.severity == "error"
    assert "--batch_size 4" in found.advice


def test_leaks_are_found_by_content_under_other_names_and_formats(root):
    save(photo(0), root / "images/test/test_1.png", compress_level=1)  # train_0
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("error", "train and test")
    assert found.seen == "1 image of test also in train: train_0 = test_1"


def test_images_listed_in_two_splits(root):
    splits = {"train": [f"train_{i}" for i in range(4)], "val": ["train_2"], "test": ["train_3"]}
    folders = {"images": "images/train", "annotations": "annotations/train"}
    found = findings(card(root, splits=splits, **folders))
    assert [f.subject for f in found] == ["train and val", "train and test"]
    assert found[0].seen == "1 image of val also in train: train_2"


def test_a_recompressed_copy_with_the_same_name_is_found(root):
    save(photo(0, (60, 60)), root / "images/val/train_0.jpg", quality=80)
    save_mask(np.resize(VALUES, (60, 60)), root, "train_0", "val")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("warning", "train and val")
    assert "of one name look the same" in found.seen
    save(photo(99), root / "images/val/train_0.jpg")  # another picture may have the same name
    save_mask(VALUES, root, "train_0", "val")
    assert findings(card(root)) == []


def test_duplicates_within_a_split(root):
    shutil.copy(root / "images/train/train_0.png", root / "images/train/train_1.png")
    found = only(findings(card(root)))
    assert (found.severity, found.subject) == ("hint", "train")
    assert "train_0 = train_1" in found.seen
    save_mask(3 - VALUES, root, "train_1")
    found = only(findings(card(root)))
    assert found.severity == "warning"
    assert "with different labels: train_0 = train_1" in found.seen


@pytest.mark.parametrize(
    ("num_classes", "dim", "cosine"),
    [(5, 4, None), (6, 4, "0.000"), (9, 4, "0."), (200, 2, "1.000")],
)
def test_more_classes_than_dimensions(root, num_classes, dim, cosine):
    many = {k: f"class {k}" for k in range(num_classes)}
    found = [f for f in findings(card(root, classes=many), dim=dim) if "features" in f.seen]
    if cosine is None:
        assert found == []
    else:
        assert only(found).severity == "hint"
        assert f"cosine {cosine}" in only(found).advice


class Own:
    """A data set without a card."""

    classes = ("a", "b")
    ignore_index = -1
    background = None

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return 2

    def __getitem__(self, index):
        image = torch.full((3, 32, 32), index, dtype=torch.uint8)
        return Sample(image, self.labels, f"own {index}")


def test_own_data_sets_are_examined():
    labels = (torch.arange(32 * 32) % 3 - 1).reshape(32, 32)
    assert examine({"train": Own(labels)}, SMALL) == []
    found = only(examine({"train": Own(labels + 1)}, SMALL))
    assert "values 2 are neither classes nor ignored" in found.seen
    assert "own 0" in found.seen


def scan(file, seed, codes=(1, 2)):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, [20, 10, 5], (600, 3))
    np.savez(file, xyz=xyz, labels=rng.choice(codes, 600))


def test_scans(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    for seed, name in enumerate("abc"):
        scan(tmp_path / f"{name}.npz", seed)
    splits = {"train": ["a"], "val": ["b"], "test": ["c"]}
    fields = {"classes": {1: "ground", 2: "tree"}, "splits": splits, "root": str(tmp_path)}
    scans = PointCard(
        name="toy", form="arrays", points="*.npz", block=10.0, margin=4.0, voxel=0.5, **fields
    )
    assert findings(scans) == []
    scan(tmp_path / "b.npz", 1, (1, 2, 9))
    found = only(findings(scans))
    assert (found.severity, found.subject) == ("error", "val")
    assert "9" in found.seen
    assert "b.npz" in found.seen
    scan(tmp_path / "b.npz", 0)  # a
    found = only(findings(scans))
    assert (found.severity, found.subject) == ("error", "train and val")
    assert found.seen == "2 scans of val also in train: a_0_0 = b_0_0, a_1_0 = b_1_0"


def test_errors_come_first(root):
    save(photo(0), root / "images/test/test_1.png")
    save_mask(np.full((SIDE, SIDE), 255), root, "train_1")
    save_mask(np.full((SIDE, SIDE), 9), root, "test_0", "test")
    ranks = [SEVERITIES.index(f.severity) for f in findings(card(root))]
    assert ranks == sorted(ranks)
    assert {0, 1} <= set(ranks)


@pytest.mark.parametrize("option", ["batch_size", "min_count"])
def test_invalid_options_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1, got 0"):
        PlannedTraining(**{option: 0})
    with pytest.raises(ValueError, match="at least one data set"):
        examine({})
