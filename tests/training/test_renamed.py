"""Older and shorter names of options."""

import pytest

from equiseg.training.config import TrainConfig
from equiseg.training.config_file import read_config
from equiseg.training.renamed import RENAMED, new_name, with_new_names


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


def test_a_configuration_of_an_older_run_is_read_with_a_note(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "data:\n  card: rooms\n  rooms: {num_classes: 8}\n  num_scenes: [4, 2, 1]\nepochs: 3\n"
    )
    with pytest.warns(UserWarning) as notes:
        config = read_config(file)
    said = sorted(str(note.message).partition(": ")[2] for note in notes)
    assert said == [
        "data.num_scenes is now data.synthetic.num_samples",
        "data.rooms is now data.synthetic.scans",
    ]
    assert config.data.card == "scans"
    assert config.data.synthetic.scans.num_classes == 8
    assert config.data.synthetic.num_samples == (4, 2, 1)
    assert config.epochs == 3
