from pathlib import Path

import pytest

from equiseg.training.config_file import read_config, write_config
from runs import tiny_config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [", "not valid YAML: .*line [12]"),
        ("- epochs", r"must hold options, as 'epochs: 12', got \['epochs'\]"),
        ("epoch: 3", r"unknown option epoch \(did you mean epochs\?\)"),
        ("data: {augment: {flap: 1}}", r"unknown option data\.augment\.flap \(did you mean flip"),
        ("epochs: x\nseed: 0.5", "epochs must be a whole number, got x; seed must be a whole"),
        ("epochs: true", "epochs must be a whole number, got True"),
        ("data: {augment: {flip: 2}}", r"data\.augment\.flip must be a probability"),
        ("data: [1]", r"data must be a mapping, as \"\{a: b\}\", got \[1\]"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"task.yaml: {message}"):
        read_config(path)


def test_an_empty_file_changes_nothing(tmp_path: Path):
    path = tmp_path / "task.yaml"
    path.write_text("# nothing yet\n")
    base = tiny_config(epochs=3, seed=5)
    assert read_config(path, base) == base


def test_a_configuration_comes_back_as_it_was_written(tmp_path: Path):
    config = tiny_config(epochs=3, seed=5)
    write_config(config, tmp_path / "config.yaml")
    assert read_config(tmp_path / "config.yaml") == config


def test_yaml_may_write_a_precision_as_a_number(tmp_path: Path):
    (tmp_path / "task.yaml").write_text("precision: 16")
    assert read_config(tmp_path / "task.yaml").precision == "16"


def test_old_names_are_read_with_one_note(tmp_path: Path, caplog):
    text = "data: {card: scenes, scenes: {num_classes: 6}, num_scenes: [3, 2, 1]}"
    (tmp_path / "old.yaml").write_text(text)
    for _ in range(2):
        data = read_config(tmp_path / "old.yaml").data
        assert data.card == "pictures"
        assert data.synthetic.pictures.num_classes == 6
        assert data.synthetic.num_samples == (3, 2, 1)
    assert caplog.messages == [
        "old.yaml: data.scenes is now data.synthetic.pictures",
        "old.yaml: data.num_scenes is now data.synthetic.num_samples",
    ]
