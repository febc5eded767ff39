"""Callbacks of a run: validation table, progress file, step times and peak memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console

from equiseg.whole_files import replace_text


class ValidationTable(L.Callback):
    """Prints one line a validation: losses, and scores in percent, as far as the width allows.

    Parts of the loss that find no room are in the log.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._header: list[str] = []
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Remember that there are scores; the losses of the epoch come a moment later."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Print the line of this validation, under a header when the columns are new."""
        if not (self._validated and trainer.is_global_zero):
            return
        self._validated = False
        values = trainer.callback_metrics
        losses = [name for name in values if name.startswith("loss")]
        scores = [f"val/{name}" for name in ("miou", "head", "common", "tail")]
        names = [name.removeprefix("loss/") for name in losses]
        known = ("epoch", "loss", "mIoU", "head", "common", "tail")
        while _width((*known, *(n for n in names if n != "loss"))) > self.console.width:
            if set(names) <= {"loss"}:
                break
            last = max(number for number, name in enumerate(names) if name != "loss")
            del names[last], losses[last]
        header = ["epoch", *names, "mIoU", "head", "common", "tail"]
        cells = [str(trainer.current_epoch + 1)]
        cells += [f"{float(values[name]):.3f}" for name in losses]
        cells += [f"{100 * float(values[name]):.1f}" for name in scores]
        if header != self._header:
            self._header = header
            self.console.print("  ".join(f"{name:>6}" for name in header), style="dim")
        widths = [max(6, len(name)) for name in header]  # 78 columns with the regularizer
        row = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        self.console.print(row, highlight=False)


def _width(names: Iterable[str]) -> int:
    """Characters of a line with these columns."""
    return sum(max(6, len(name)) + 2 for name in names) - 2


class ProgressFile(L.Callback):
    """Writes the share of finished epochs to a file, for other processes that watch the run.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Note the epochs done."""
        if trainer.is_global_zero and trainer.max_epochs:
            share = (trainer.current_epoch + 1) / trainer.max_epochs
            replace_text(self.path, f"{share:.4f}", durable=False)


class StepClock(L.Callback):
    """Measures seconds in steps and seconds waiting for data.

    Attributes:
        step_seconds: Spent from a batch's arrival to the end of its step.
        wait_seconds: Spent between the end of a step (or the start of an epoch) and the next batch.
        steps: Number of steps measured, since the run was last started.
    """

    def __init__(self) -> None:
        self.step_seconds = 0.0
        self.wait_seconds = 0.0
        self.steps = 0
        self._arrived = 0.0
        self._finished = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        """Waiting for the first batch begins; validation lies behind."""
        self._finished = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        """A batch has arrived."""
        self._arrived = time.perf_counter()
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


class PeakMemory(L.Callback):
    """Measures the most memory that training took, validation included.

    Attributes:
        peak_bytes: The memory named by ``of``, without data workers. None if it is not known.
        of: "cuda": the most that torch had allocated on the GPU during training, network included.
            "fit": the most that the process held during training, less what it held at its start
            (Python, libraries, data in memory, network). "process", on systems that report no more:
            the most that the process ever held, and possibly the process that started it.
    """

    def __init__(self) -> None:
        self.peak_bytes: int | None = None
        self.of = "process"
        self._before = 0

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Forget what was held before."""
        device = trainer.strategy.root_device
        if device.type == "cuda":
            self.of = "cuda"
            torch.cuda.reset_peak_memory_stats(device)
        elif (before := _forget_peak()) is not None:
            self.of = "fit"
            self._before = before

    def on_fit_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Read the peak."""
        if self.of == "cuda":
            self.peak_bytes = torch.cuda.max_memory_allocated(trainer.strategy.root_device)
        elif self.of == "fit":
            self.peak_bytes = max(_held("VmHWM") - self._before, 0)
        else:
            self.peak_bytes = _peak_of_process()


def _forget_peak() -> int | None:
    """Start Linux's peak anew at what the process holds now, in bytes; None where it cannot be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        _held("VmHWM")
        return _held("VmRSS")
    except (OSError, KeyError):
        return None


def _held(entry: str) -> int:
    """Bytes of an entry of Linux's account of this process: "VmRSS" now, "VmHWM" at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    entries = dict(line.split(":", 1) for line in lines)
    return 1024 * int(entries[entry].split()[0])


def _peak_of_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
