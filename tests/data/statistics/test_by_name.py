"""Data to count by name: masks and scans without a card, cards, built-in data."""

import numpy as np
import pytest
from PIL import Image

from equiseg.data import DataError
from equiseg.data.images.masks import MaskFolder
from equiseg.data.points.formats.ply import write_ply
from equiseg.data.statistics.by_name import open_named
from equiseg.data.statistics.counting import count_data
from equiseg.data.statistics.profile import DataProfile
from equiseg.data.statistics.unlabelled_scans import card_of_scans
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from runs import write_street


def masks(folder, *arrays):
    (folder / "deeper").mkdir(parents=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / "deeper" / f"{number}.png")


def test_without_a_card_the_values_of_masks_are_classes(tmp_path):
    masks(tmp_path / "m", np.array([[7, 7], [255, 0]], np.uint8), np.array([[9, 7]], np.uint16))
    named = open_named(str(tmp_path / "m"))
    profile = DataProfile.of(named, count_data(named.data))
    assert profile.classes == ("0", "7", "9")
    assert profile.statistics.pixels_K.tolist() == [1, 3, 1]
    assert profile.counts.context.adjacency_KK.tolist() == [[0, 1, 0], [1, 2, 1], [0, 1, 0]]
    assert (profile.title, profile.split, profile.unlabelled) == ("m", "", pytest.approx(1 / 6))


def test_without_a_card_values_of_masks_can_be_ignored(tmp_path):
    masks(tmp_path / "m", np.array([[0, 1], [255, 2]], np.uint8))
    named = open_named(str(tmp_path / "m"), ignore_values=[0])
    assert DataProfile.of(named, count_data(named.data)).classes == ("1", "2", "255")
    image, labels_HW, name = named.data[0]
    assert (image.shape, name) == ((3, 2, 2), "deeper/0")
    assert labels_HW.tolist() == [[256, 1], [255, 2]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 3), np.uint8), "one channel"),
        (np.full((2, 2), 256, np.uint16), "write a card"),
    ],
)
def test_masks_without_classes_are_refused(tmp_path, array, message):
    masks(tmp_path / "m", array)
    with pytest.raises(DataError, match=message) as error:
        MaskFolder(tmp_path / "m")[0]
    assert "0.png" in str(error.value)


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """A square of 10 m with 10,000 points of the codes -1, 3 and 40."""
    monkeypatch.setenv("EQUISEG_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    xyz_N3 = rng.uniform(0, [10, 10, 0.1], (10_000, 3))
    codes_N = np.where(xyz_N3[:, 0] < 5, 3, 40)
    codes_N[:10] = -1
    file = tmp_path / "scans" / "a{b}.ply"
    file.parent.mkdir()
    write_ply(file, xyz_N3, labels_N=codes_N)
    return file


def test_without_a_card_the_codes_of_scans_are_classes(scan):
    for source in (scan, scan.parent):
        named = open_named(str(source))
        profile = DataProfile.of(named, count_data(named.data))
        assert profile.classes == ("3", "40")
        assert int(profile.statistics.pixels_K.sum()) == 10_000 - 10
        assert profile.counts.num_pixels == 10_000
        # A hundred points in a square meter lie 0.1 m apart.
        assert (profile.unit, profile.sample, profile.voxel_size) == ("point", "scan", 0.2)
        assert profile.counts.context.regions_K.tolist() == [1, 1]


def test_scans_without_classes_are_refused(scan, tmp_path):
    with pytest.raises(DataError, match="at least 2 classes"):
        card_of_scans(scan, ignore_values=[3])
    (tmp_path / "text").mkdir()
    with pytest.raises(DataError, match="none of them"):
        card_of_scans(tmp_path / "text")
    np.savez(scan.parent / "b.npz", coord=np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"ply and \*\.npz"):
        card_of_scans(scan.parent)
    with pytest.raises(DataError, match="no labels"):
        card_of_scans(scan.parent / "b.npz")


def test_cards_and_built_in_data(tmp_path):
    write_street(tmp_path, ((32, 32),))
    card = str(tmp_path / "street.yaml")
    assert open_named(card)[1:] == ("street", "train", "image", False)
    assert open_named(card, split="val").split == "val"
    synthetic = SyntheticConfig(PicturesConfig(num_classes=5), num_samples=(9, 9, 3))
    for word in ("pictures", "scenes"):
        named = open_named(word, split="test", synthetic=synthetic)
        assert (len(named.data), len(named.data.classes), named.split) == (3, 5, "test")
        assert named.title == "pictures"


def test_a_folder_does_not_hide_built_in_data(tmp_path, monkeypatch):
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_named("scans", synthetic=SyntheticConfig(num_samples=(1, 1, 1))).sample == "scan"
    with pytest.raises(DataError, match="must be masks"):
        open_named("./scans")


def test_points_around_a_block_are_not_counted():
    named = open_named("ign_tiles")
    assert (named.sample, named.data.card.margin) == ("block", 0.0)
    counts = count_data(named.data, context=False)
    assert counts.statistics.pixels_K.tolist() == named.data.counts_SK.sum(0).tolist()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pictures", {"root": "x"}, "root has no meaning for pictures"),
        ("camvid", {"root": ".", "ignore_values": [1]}, "into the card"),
        ("nowhere/masks", {}, "no such file or folder"),
        ("unheard_of", {}, "no data card"),
        (".", {"split": "val"}, "split has no meaning"),
    ],
)
def test_data_that_cannot_be_opened_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        open_named(name, **options)
