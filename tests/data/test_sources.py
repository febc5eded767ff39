"""Data sources: everything that --data.card may name."""

import pytest

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.sources import count_classes, find_source, is_own_name, open_split, split_names
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig

SMALL = SyntheticConfig(PicturesConfig(6, (48, 64)), ScansConfig(6, points=1000), (3, 2, 1))
CARDS = ["pictures", "scans", "ign_tiles"]


@pytest.mark.parametrize("card", CARDS)
def test_every_source_answers_the_same_questions(card):
    config = DataConfig(card=card, synthetic=SMALL)
    source = find_source(config)
    data = source.open("val")
    assert source.classes() == tuple(data.classes)
    assert count_classes(config) == len(data.classes)
    assert set(split_names(config)) <= {"train", "val", "test"}
    assert source.sample == {"pictures": "image", "scans": "scan", "ign_tiles": "block"}[card]
    reading = source.reading()
    assert (reading is None) == (source.sample == "image") == (not hasattr(data, "voxel_size"))
    if reading is not None:
        assert len(reading.codes) == len(data.classes)
        assert reading.voxel_size == data.voxel_size


@pytest.mark.parametrize(("old", "new"), [("scenes", "pictures"), ("rooms", "scans")])
def test_old_names_of_the_built_in_data(old, new):
    assert DataConfig(card=old) == DataConfig(card=new)


def test_each_split_has_its_number_of_samples():
    config = DataConfig(card="pictures", synthetic=SMALL)
    assert [len(open_split(config, split)) for split in ("train", "val", "test")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"card": "pictures", "size": (9, 9)}, "data.size is for image folders, got .9, 9. for"),
        ({"card": "ign_tiles", "size": (9, 9)}, "for ign_tiles; leave it out"),
        ({"card": "scans", "root": "here"}, "root has no meaning for scans"),
        ({"card": "picture"}, "no data card 'picture'"),
    ],
)
def test_invalid_configurations_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        find_source(DataConfig(**given))


def test_an_unknown_split_of_built_in_data():
    with pytest.raises(DataError, match=r"the built-in pictures have the splits .* got 'dev'"):
        open_split(DataConfig(synthetic=SMALL), "dev")


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("my_module.MyData", True),
        ("folder/file.py:MyData", True),
        ("camvid", False),
        ("cards/street.yaml", False),
        ("folder/street.v2", False),
    ],
)
def test_names_of_own_classes(name, own):
    assert is_own_name(name) == own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (10**9, 10**9)}, r"data\.size must be .* at most 67,108,864 pixels, got \(100"),
        ({"size": (0, 5)}, r"data\.size must be .* at least 1 pixel a side .* got \(0, 5\)"),
        ({"cache_gb": float("nan")}, r"data\.cache_gb must be 0 to 100,000 gigabytes, got nan"),
        ({"cache_gb": float("inf")}, r"data\.cache_gb must be .* got inf"),
        ({"num_workers": 10**9}, r"data\.num_workers must be 0 to 1024, got 1000000000"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**options)
