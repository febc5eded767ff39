"""The checkpoint files of a run: reading them with every check, and what to resume from.

Needs torch alone: networks are diagnosed where nothing is trained.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from equiseg.foreign_files import FileError, check_count, check_file
from equiseg.foreign_text import short
from equiseg.whole_files import replaced
from equiseg.zip_files import open_zip

LAST, PREVIOUS, BEST = "last.ckpt", "last-previous.ckpt", "best.ckpt"
SCORE = "val/miou"
"""The logged score by which the best epoch is chosen."""
NO_EPOCH = -1
"""The best epoch before the first validation."""
_PARTS = ("state_dict", "loops", "optimizer_states", "lr_schedulers", "callbacks")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint after a check of every byte; no code in it is run.

    Args:
        path: The file.

    Returns:
        Its content, tensors on the CPU.

    Raises:
        FileError: If it is cut, damaged or of another kind.
    """
    if not (size := check_file(path)):
        raise FileError(f"{path}: is empty, so damaged")
    try:
        with open_zip(path) as archive:  # torch does not compare the checksums
            stated = sum(entry.file_size for entry in archive.infolist())
            check_count(path, "bytes", stated, 1, size)
            if damaged := archive.testzip():
                raise FileError(f"{path}: damaged, the checksum of {short(damaged)} is wrong")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileError:
        raise
    except Exception as error:  # torch and zipfile raise undocumented errors for damaged files
        raise FileError(f"{path}: damaged or cut ({short(error)})") from None
    if not isinstance(content, dict) or any(part not in content for part in _PARTS):
        raise FileError(f"{path}: not the checkpoint of a run")
    if type(content.get("epoch")) is not int:
        raise FileError(f"{path}: not the checkpoint of a run, its epoch is not a number")
    return content


class Resumable(NamedTuple):
    """A valid checkpoint and its content."""

    path: Path
    content: dict[str, Any]


def find_resumable(
    folder: Path, tell: Callable[[str], None], *, write: bool = True
) -> Resumable | None:
    """The newest valid checkpoint; also brings back a best.ckpt that is missing or damaged.

    Args:
        folder: The checkpoints of a run.
        tell: Told which one is taken, and which are damaged.
        write: Bring back best.ckpt; one process of several does.

    Returns:
        The checkpoint, or None where there is none yet.

    Raises:
        FileError: If the run cannot be resumed; the message has the command to start again.
    """
    found: dict[str, dict[str, Any]] = {}
    problems: dict[str, str] = {}
    for name in (LAST, PREVIOUS, BEST):
        if (folder / name).exists():
            try:
                found[name] = read_checkpoint(folder / name)
            except FileError as error:
                problems[name] = str(error)
    for problem in problems.values():
        tell(problem)
    if not found:
        if problems:
            raise FileError(_start_again(folder, "no valid checkpoint is left"))
        return None
    newest = max(found, key=lambda name: (found[name]["epoch"], name == LAST))
    tell(f"resuming from {newest}, epoch {found[newest]['epoch'] + 1}")
    if BEST not in found and write:
        _restore_best(folder, found, best_of_checkpoint(found[newest])[0], tell)
    if write:  # a damaged last.ckpt must not replace the valid one before it at the next save
        for name in {LAST, PREVIOUS} & problems.keys():
            (folder / name).unlink(missing_ok=True)
    return Resumable(folder / newest, found[newest])


def best_of_checkpoint(content: dict[str, Any]) -> tuple[int | None, float]:
    """Epoch and score of the best epoch so far, as a checkpoint notes them.

    Returns:
        The epoch, from 0; -1 before any validation; None in checkpoints of earlier versions, which
        note the score alone.
    """
    states = content["callbacks"]
    if (known := states.get("Checkpoints")) is not None:
        epoch = known["best_epoch"]
        return None if epoch is None else int(epoch), float(known["best_score"])
    for key, known in states.items():
        if key.startswith("ModelCheckpoint") and known.get("monitor") == SCORE:
            score = known.get("best_model_score")
            return (NO_EPOCH, -math.inf) if score is None else (None, float(score))
    return NO_EPOCH, -math.inf


def _restore_best(
    folder: Path, found: dict[str, dict[str, Any]], epoch: int | None, tell: Callable[[str], None]
) -> None:
    """Write best.ckpt anew from a checkpoint of the same epoch."""
    if epoch == NO_EPOCH:
        return
    for name, content in found.items():
        if content["epoch"] == epoch:
            with replaced(folder / BEST) as unfinished:
                shutil.copyfile(folder / name, unfinished)
            tell(f"{BEST} is restored from {name}")
            return
    what = "damaged" if (folder / BEST).exists() else "missing"
    raise FileError(_start_again(folder, f"{BEST} is {what}, and no other file has its epoch"))


def _start_again(folder: Path, why: str) -> str:
    return (
        f"{folder}: {why}; remove this folder and repeat the command to train again from the "
        "start: the same seed gives the same weights"
    )
