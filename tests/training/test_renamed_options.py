"""Older and shorter names of options."""

import pytest

from equiseg.training.config import TrainConfig
from equiseg.training.renamed_options import RENAMED, new_name, tell_once, with_new_names


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data.scenes.seed", "data.synthetic.pictures.seed"),
        ("data.rooms", "data.synthetic.scans"),
        ("data.num_samples", "data.synthetic.num_samples"),
        ("data.scenesque", "data.scenesque"),
        ("epochs", "epochs"),
    ],
)
def test_new_names(old, new):
    assert new_name(old) == new


def test_every_new_name_is_an_option():
    for new in RENAMED.values():
        value = TrainConfig()
        for part in new.split("."):
            value = getattr(value, part)


def test_nested_and_dotted_options_are_joined():
    given = {"data": {"scenes": {"seed": 3}, "card": "x"}, "data.pictures": {"context": 0.5}}
    options, notes = with_new_names(given)
    pictures = {"seed": 3, "context": 0.5}
    assert options == {"data": {"synthetic": {"pictures": pictures}, "card": "x"}}
    assert notes == ["data.scenes is now data.synthetic.pictures"]


def test_a_note_is_logged_once(tmp_path, caplog):
    for _ in range(2):
        tell_once(["data.old is now data.new"], tmp_path / "once.yaml")
    assert caplog.messages == ["once.yaml: data.old is now data.new"]
