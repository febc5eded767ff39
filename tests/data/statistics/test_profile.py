"""Profiles: levels, groups, rows, saving and loading."""

import json
import math

import pytest
import torch

from equiseg.data import DataError
from equiseg.data.statistics.counting import Counts
from equiseg.data.statistics.profile import DataProfile
from equiseg.imbalance import ClassStatistics, ClassTable, ContextStatistics


@pytest.fixture
def profile():
    """Four images with the classes wall and mug; bird never occurs."""
    labels_HW = torch.zeros(4, 4, dtype=torch.int64)
    masks = [labels_HW, labels_HW, labels_HW, labels_HW.clone()]
    masks[3][1, 1] = 1
    masks[3][3, 3] = 255
    counts = Counts(
        ClassStatistics.from_labels(masks, 3),
        ContextStatistics.from_labels(masks, 3),
        64,
        (4, 4),
        (4, 4),
    )
    return DataProfile("home", ("wall", "mug", "bird"), counts, batch_size=2, split="train")


def test_levels_run_from_pixels_to_centers(profile):
    factors = {level.name: level.imbalance_factor for level in profile.levels}
    # Half of the batches of two of four images contain the image with the mug.
    assert factors == {"pixels": 62, "regions": 4, "images": 4, "centers": pytest.approx(2)}
    assert profile.levels[0].relative().tolist() == [1, pytest.approx(1 / 62), 0]


def test_rows_are_in_the_order_of_frequency(profile):
    rows = profile.class_rows()
    assert [row["name"] for row in rows] == ["wall", "mug", "bird"]
    assert [row["group"] for row in rows] == ["head", "tail", "tail"]
    assert rows[1]["share"] == 1 / 63
    assert (profile.absent, profile.unlabelled) == (["bird"], 1 / 64)


def test_fixed_groups_are_kept(profile):
    groups = {"head": ["mug"], "common": [], "tail": ["bird", "wall"]}
    fixed = DataProfile("home", profile.classes, profile.counts, fixed_groups=groups)
    assert dict(fixed.groups) == {"head": (1,), "common": (), "tail": (0, 2)}


def test_a_saved_profile_is_loaded_unchanged(profile, tmp_path):
    profile.save(tmp_path / "s.json")
    again = DataProfile.load(tmp_path / "s.json")
    assert again.summary() == profile.summary()
    assert again.counts.to_dict() == profile.counts.to_dict()
    assert DataProfile.load(tmp_path / "s.json", batch_size=4).levels[-1].imbalance_factor == 1


def test_the_summary_is_json_without_nan(profile):
    empty = DataProfile("none", ("a", "b"), Counts.zeros(2))
    for one in (profile, empty):
        json.dumps(one.summary(), allow_nan=False)
    assert empty.summary()["levels"][0]["imbalance_factor"] is None
    assert math.isnan(empty.unlabelled)


def test_tables_have_no_context(profile, tmp_path):
    profile.table().write_csv(tmp_path / "c.csv")
    table = DataProfile.of_table("c", ClassTable.read_csv(tmp_path / "c.csv"), batch_size=2)
    assert table.context_numbers() == {}
    assert table.level_rows() == profile.level_rows()


@pytest.mark.parametrize("text", ["{", "[]", '{"classes": []}'])
def test_other_json_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json: no statistics"):
        DataProfile.load(tmp_path / "x.json")
