"""A run that is killed at any write, moved or copied ends with the weights it would have had."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from equiseg.data.config import DataConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.training.config import TrainConfig
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.run import train

CONFIG = TrainConfig(
    data=DataConfig(
        synthetic=SyntheticConfig(
            pictures=PicturesConfig(num_classes=4, image_size=(48, 48)), num_samples=(4, 2, 2)
        )
    ),
    method="cross_entropy",
    epochs=2,
    batch_size=2,
    threads=1,
    log_collapse=False,
)


class Killed(BaseException):
    """What SIGKILL is to the code that runs: nothing can be done after it."""


class Writes:
    """Counts the files that become final; from the given one on, the process is dead.

    A dead process renames nothing and removes nothing.
    """

    def __init__(self, patch: pytest.MonkeyPatch, deadly: int | None = None, error=Killed):
        self.count = 0
        replace, unlink = Path.replace, Path.unlink

        def dead() -> bool:
            return deadly is not None and self.count >= deadly

        def counted(path: Path, target: Path) -> Path:
            if ".part-" not in path.name:
                return replace(path, target)
            if dead():
                raise error()
            self.count += 1
            return replace(path, target)

        def kept(path: Path, missing_ok: bool = False) -> None:
            if not (dead() and error is Killed and ".part-" in path.name):
                unlink(path, missing_ok)

        patch.setattr(Path, "replace", counted)
        patch.setattr(Path, "unlink", kept)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    train(CONFIG, folder)
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was cut in its second epoch."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        cut_in_epoch(1, patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train(CONFIG, folder)
    return folder


def cut_in_epoch(epoch: int, patch: pytest.MonkeyPatch) -> None:
    def stop(task: SegmentationTask) -> None:
        if task.current_epoch == epoch:
            raise RuntimeError("power cut")

    patch.setattr(SegmentationTask, "on_train_epoch_start", stop)


def test_a_kill_at_any_write_loses_nothing(whole: Path, tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        writes = Writes(patch)
        train(CONFIG, tmp_path / "counted")
    assert writes.count > 10  # mark, configuration, logs, checkpoints, weights, result
    for deadly in range(writes.count):
        folder = tmp_path / str(deadly)
        with pytest.MonkeyPatch.context() as patch:
            Writes(patch, deadly)
            with pytest.raises(Killed):
                train(CONFIG, folder)
        assert any(".part-" in path.name for path in folder.rglob("*"))
        train(CONFIG, folder)
        assert weights(folder) == weights(whole), f"killed at write {deadly}"
        assert not any(".part-" in path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("number", [3, 8, -2])
def test_a_full_disk_names_the_file_and_loses_nothing(number: int, whole: Path, tmp_path: Path):
    def full() -> OSError:
        return OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        writes = Writes(patch)
        train(CONFIG, tmp_path / "counted")
    with pytest.MonkeyPatch.context() as patch:
        Writes(patch, number % writes.count, full)
        with pytest.raises(OSError, match="No space left on device") as error:
            train(CONFIG, tmp_path / "full")
    assert str(tmp_path / "full") in str(error.value.filename)
    assert not any(".part-" in path.name for path in (tmp_path / "full").rglob("*"))
    train(CONFIG, tmp_path / "full")
    assert weights(tmp_path / "full") == weights(whole)


def other_file_system() -> Path | None:
    """A folder on another file system than the temporary one, where there is one."""
    shared, temporary = Path("/dev/shm"), Path(tempfile.gettempdir())
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == temporary.stat().st_dev:
        return None
    return Path(tempfile.mkdtemp(prefix="equiseg-", dir=shared))


def test_a_moved_or_copied_run_is_itself(whole: Path, cut: Path, tmp_path: Path):
    shutil.copytree(cut, tmp_path / "copied")
    shutil.copytree(cut, tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "moved")
    train(CONFIG, tmp_path / "before")  # another run is now where this one was
    places = [tmp_path / "copied", tmp_path / "moved"]
    elsewhere = other_file_system()
    if elsewhere is not None:
        places.append(elsewhere / "run")
        shutil.copytree(cut, places[-1])
    try:
        for place in places:
            train(CONFIG, place)
            assert weights(place) == weights(whole), place
            assert sorted(p.name for p in (place / "logs").iterdir()) == ["version_0", "version_1"]
    finally:
        if elsewhere is not None:
            shutil.rmtree(elsewhere)


def test_checkpoints_are_written_in_their_own_folder(whole: Path, tmp_path: Path, monkeypatch):
    """Not through the folder of temporary files, which may be another disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    train(CONFIG, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(whole)
    names = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert names == ["best.ckpt", "last-previous.ckpt", "last.ckpt"]


def test_leftovers_are_swept_only_at_the_start_of_a_run_that_is_held(cut: Path, tmp_path: Path):
    shutil.copytree(cut, tmp_path / "run")
    leftover = tmp_path / "run/checkpoints/.part-17-last.ckpt"
    leftover.write_bytes(b"half")
    train(CONFIG, tmp_path / "run")
    assert not leftover.exists()
