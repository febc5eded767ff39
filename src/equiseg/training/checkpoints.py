"""Checkpoints of a run: the last two and the best, written whole.

They hold no paths, so a run that was moved or copied is itself.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from equiseg.runs.finite import check_finite
from equiseg.training.checkpoint_files import (
    BEST,
    LAST,
    NO_EPOCH,
    PREVIOUS,
    SCORE,
    best_of_checkpoint,
)
from equiseg.whole_files import replaced


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints under another name, flushes and renames them; the last two are kept."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write one checkpoint; an earlier ``last.ckpt`` becomes ``last-previous.ckpt``.

        Raises:
            OSError: If it cannot be written, as on a full disk; it names the path.
        """
        path = Path(path)
        content = BytesIO()  # torch reports a full disk without the path and the reason
        torch.save(checkpoint, content)
        with replaced(path) as unfinished:
            unfinished.write_bytes(content.getbuffer())
            if path.name == LAST and path.is_file():
                path.replace(path.with_name(PREVIOUS))


class Checkpoints(Checkpoint):
    """Saves the last epoch, and the one with the best validation mIoU, at the end of each epoch.

    The best is written first: when last.ckpt contains an epoch, best.ckpt has considered it.

    Args:
        folder: For the checkpoints.

    Attributes:
        best_score: The best validation mIoU so far; NaN counts as less than any number.
        best_epoch: Its epoch, from 0; -1 before the first validation, None if it is not known.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best_score = -math.inf
        self.best_epoch: int | None = NO_EPOCH
        self._validated = False

    @property
    def state_key(self) -> str:
        """The name of this state in a checkpoint."""
        return "Checkpoints"

    def state_dict(self) -> dict[str, Any]:
        """The best score and its epoch."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def on_load_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the best score."""
        self.best_epoch, self.best_score = best_of_checkpoint(checkpoint)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Remember that there is a new score."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Save, after a check that all weights are finite.

        Raises:
            ValueError: If a weight is NaN or infinite; the checkpoints stay as they were.
        """
        check_finite(
            task.model,  # type: ignore[arg-type]
            f"after epoch {trainer.current_epoch + 1}",
            f"{LAST} keeps the epoch before; lower optimizer.lr, clip the gradient "
            "(optimizer.clip) or train in precision 32, in a new folder",
        )
        if self._validated:
            self._validated = False
            score = float(trainer.callback_metrics.get(SCORE, math.nan))
            if self.best_epoch == NO_EPOCH or score > self.best_score:
                self.best_score = -math.inf if math.isnan(score) else score
                self.best_epoch = trainer.current_epoch
                trainer.save_checkpoint(self.folder / BEST)
        trainer.save_checkpoint(self.folder / LAST)
