"""What a run shows while it trains, and how long its steps wait."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from rich.console import Console
from rich.table import Table


class ValidationTable(L.Callback):
    """Prints one line a validation: losses and scores, under a header printed once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = False

    def on_validation_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Print the line of this validation."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        values = trainer.callback_metrics
        names = [n for n in values if n.startswith("loss")]
        names += [f"val/{n}" for n in ("miou", "head", "common", "tail")]
        table = Table(box=None, show_header=not self.started, padding=(0, 1))
        self.started = True
        cells = [f"{trainer.current_epoch + 1:>5}"]
        table.add_column("epoch", justify="right", min_width=5)
        for name in names:
            table.add_column(name, justify="right", min_width=max(7, len(name)))
            value = values.get(name)
            scale = 100 if name.startswith("val/") else 1
            cells.append("" if value is None else f"{float(value) * scale:.2f}")
        table.add_row(*cells)
        self.console.print(table)


class StepClock(L.Callback):
    """Measures seconds in steps and seconds waiting for data.

    Attributes:
        step_seconds: Spent from a batch's arrival to the end of its step.
        wait_seconds: Spent between the end of a step and the next batch, in one epoch.
        steps: Number of steps measured.
    """

    def __init__(self) -> None:
        self.step_seconds = 0.0
        self.wait_seconds = 0.0
        self.steps = 0
        self._arrived = 0.0
        self._finished: float | None = None

    def on_train_epoch_start(self, *_: Any) -> None:
        """Forget the last step: what lies between epochs is validation, not waiting."""
        self._finished = None

    def on_train_batch_start(self, *_: Any) -> None:
        """A batch has arrived."""
        self._arrived = time.perf_counter()
        if self._finished is not None:
            self.wait_seconds += self._arrived - self._finished

    def on_train_batch_end(self, *_: Any) -> None:
        """Its step is over."""
        self._finished = time.perf_counter()
        self.step_seconds += self._finished - self._arrived
        self.steps += 1

    @property
    def wait_share(self) -> float:
        """Share of the training time that steps waited for data."""
        total = self.step_seconds + self.wait_seconds
        return self.wait_seconds / total if total else 0.0
