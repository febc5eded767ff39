from pathlib import Path

import pytest

from equiseg.training.config_file import read_config
from runs import tiny_config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [", "not valid YAML: .*line 1"),
        ("- epochs", r"must hold options, as 'epochs: 12', got \['epochs'\]"),
        ("epoch: 3", "not a configuration of this version"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"task.yaml: {message}"):
        read_config(path)


def test_a_file_that_says_nothing_leaves_everything(tmp_path: Path):
    path = tmp_path / "task.yaml"
    path.write_text("# nothing yet\n")
    base = tiny_config(epochs=3, seed=5)
    assert read_config(path, base) == base
