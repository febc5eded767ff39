"""Damaged checkpoints: the newest valid one is taken, and said; what cannot be mended is named."""

import shutil
from pathlib import Path

import pytest
import torch

from equiseg.foreign_files import FileError
from equiseg.training.checkpoint_files import (
    BEST,
    LAST,
    PREVIOUS,
    best_of_checkpoint,
    find_resumable,
    read_checkpoint,
)
from equiseg.training.checkpoints import WholeCheckpoints


def damage_by(kind: str, path: Path) -> None:
    content = bytearray(path.read_bytes())
    if kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "empty":
        content = bytearray()
    elif kind == "flip":
        content[len(content) // 2] ^= 1
    elif kind == "text":
        content = bytearray(b"nonsense")
    path.write_bytes(content)


@pytest.fixture
def checkpoints(finished_run: Path, tmp_path: Path) -> Path:
    """Of a run of two epochs."""
    shutil.copytree(finished_run / "checkpoints", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


@pytest.mark.parametrize("kind", ["cut", "empty", "flip", "text"])
def test_damage_is_seen_and_named(kind: str, checkpoints: Path):
    damage_by(kind, checkpoints / LAST)
    with pytest.raises(FileError, match=r"last\.ckpt: .*(damaged|cut)"):
        read_checkpoint(checkpoints / LAST)
    told: list[str] = []
    found = find_resumable(checkpoints, told.append)
    assert found is not None
    assert found.content["epoch"] == 0 or found.path.name == BEST
    assert "last.ckpt" in told[0]
    assert f"resuming from {found.path.name}" in told[1]


def test_other_torch_files_are_no_checkpoints(tmp_path: Path):
    for content in ([1], {"state_dict": {}}, torch.ones(2)):
        torch.save(content, tmp_path / "last.ckpt")
        with pytest.raises(FileError, match="not the checkpoint of a run"):
            read_checkpoint(tmp_path / "last.ckpt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path):
    torch.save({"state_dict": Path("x")}, tmp_path / "last.ckpt")
    with pytest.raises(FileError, match="damaged or cut"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_the_best_weights_come_back_from_the_file_of_their_epoch(checkpoints: Path):
    best = read_checkpoint(checkpoints / BEST)
    damage_by("flip", checkpoints / BEST)
    told: list[str] = []
    assert find_resumable(checkpoints, told.append) is not None
    assert read_checkpoint(checkpoints / BEST)["epoch"] == best["epoch"]
    assert any("best.ckpt is restored from" in text for text in told)


def test_best_weights_that_are_lost_are_an_error_with_a_way_on(checkpoints: Path):
    last, previous = (read_checkpoint(checkpoints / name) for name in (LAST, PREVIOUS))
    (checkpoints / BEST).unlink()
    for name, content in ((LAST, last), (PREVIOUS, previous)):
        content["callbacks"]["Checkpoints"]["best_epoch"] = 7
        torch.save(content, checkpoints / name)
    with pytest.raises(FileError, match=r"best\.ckpt is missing.*remove this folder"):
        find_resumable(checkpoints, lambda text: None)


def test_no_valid_checkpoint_is_an_error_and_none_is_a_new_run(checkpoints: Path, tmp_path: Path):
    assert find_resumable(tmp_path / "none", lambda text: None) is None
    for name in (LAST, PREVIOUS, BEST):
        damage_by("cut", checkpoints / name)
    with pytest.raises(FileError, match=r"no valid checkpoint is left; remove this folder"):
        find_resumable(checkpoints, lambda text: None)


def test_checkpoints_of_earlier_versions_are_resumed():
    """They name the best file by its path, which is not taken, and its score, which is."""
    state = {
        "monitor": "val/miou",
        "best_model_score": torch.tensor(0.5),
        "best_model_path": "/elsewhere/best.ckpt",
    }
    name = "ModelCheckpoint{'monitor': 'val/miou', 'mode': 'max'}"
    assert best_of_checkpoint({"callbacks": {name: state}}) == (None, 0.5)
    noted = {"best_epoch": None, "best_score": 0.5}  # by the next save, if no epoch was better
    assert best_of_checkpoint({"callbacks": {"Checkpoints": noted}}) == (None, 0.5)


def test_a_damaged_last_checkpoint_cannot_replace_the_one_before_it(checkpoints: Path):
    damage_by("cut", checkpoints / LAST)
    found = find_resumable(checkpoints, lambda text: None)
    assert found is not None
    assert not (checkpoints / LAST).exists()
    content = (checkpoints / PREVIOUS).read_bytes()
    WholeCheckpoints().save_checkpoint(found.content, checkpoints / LAST)
    assert (checkpoints / PREVIOUS).read_bytes() == content


def test_nothing_in_a_checkpoint_says_where_it_is(checkpoints: Path, finished_run: Path):
    for name in (LAST, PREVIOUS, BEST):
        assert str(finished_run).encode() not in (checkpoints / name).read_bytes()
