"""Time of a training epoch, validation included, compared with a bare loop.

python -m benchmarks.speed.epoch --root FOLDER_OF_CAMVID [--train N] [--val N] [--rounds N]

Photos of CamVid (480x360) from memory, the small network, cross entropy, one thread. The bare loop
is what a user writes: the same augmented samples in a DataLoader, AdamW with a schedule, a
confusion matrix in validation, and the weights of each epoch saved. Ours has scores by group, logs,
checkpoints that resume, and is measured with and without curves of neural collapse. Epochs after
the first are timed. Writes benchmarks/results/epoch.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.nn import functional as F
from torch.utils.data import DataLoader

from benchmarks.measure import ratio, save, table
from benchmarks.speed.camvid import few_photos
from equiseg.data.config import DataConfig
from equiseg.data.loading import EpochSampler, EvaluationView
from equiseg.progress import untracked
from equiseg.training.config import TrainConfig
from equiseg.training.fitting import Run, fit
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.opened_data import OpenedData, open_data
from equiseg.training.samples import training_samples

EPOCHS = 2
BATCH = 4


class TimedTask(SegmentationTask):
    """The task of a run, with the moment at which each epoch began."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.starts: list[float] = []

    def on_train_epoch_start(self) -> None:
        """Note the time."""
        self.starts.append(time.perf_counter())
        super().on_train_epoch_start()


def ours(config: TrainConfig, data: OpenedData) -> float:
    """Seconds of an epoch of ``equiseg train``."""
    task = TimedTask(config, data.spec, data.statistics, data.groups)
    with tempfile.TemporaryDirectory() as name:
        run = Run(config, task, data, Path(name), Console(quiet=True), "")
        fit(run, training_samples(config, task.model, data, untracked))
    return (task.starts[-1] - task.starts[1]) / (len(task.starts) - 2)


def bare_loop(config: TrainConfig, data: OpenedData) -> float:
    """Seconds of an epoch by hand."""
    task = SegmentationTask(config, data.spec, data.statistics, data.groups)
    task.tap.remove()
    model, num_classes, ignored = task.model, len(data.spec.classes), data.spec.ignore_index
    views = training_samples(config, model, data, untracked).views
    sampler = EpochSampler(len(views), config.seed)
    batches = DataLoader(views, BATCH, sampler=sampler, drop_last=True)
    validation = DataLoader(EvaluationView(data.splits["val"]), 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, (EPOCHS + 1) * len(batches), 0.9)
    starts = []
    with tempfile.TemporaryDirectory() as name:
        for epoch in range(EPOCHS + 1):
            starts.append(time.perf_counter())
            sampler.set_epoch(epoch)
            model.train()
            for images, labels in batches:
                logits = F.interpolate(model(images), labels.shape[1:], mode="bilinear")
                loss = F.cross_entropy(logits, labels.long(), ignore_index=ignored)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            model.eval()
            confusion = torch.zeros(num_classes**2, dtype=torch.int64)
            with torch.inference_mode():
                for images, labels in validation:
                    logits = F.interpolate(model(images), labels.shape[1:], mode="bilinear")
                    found, known = logits.argmax(1), labels != ignored
                    cells = num_classes * labels[known].long() + found[known]
                    confusion += torch.bincount(cells, minlength=num_classes**2)
            torch.save((model.state_dict(), optimizer.state_dict()), Path(name) / "last.pt")
    return (starts[-1] - starts[1]) / (len(starts) - 2)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--train", type=int, default=88)
    parser.add_argument("--val", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        numbers = {"train": arguments.train, "val": arguments.val, "test": 1}
        root = few_photos(arguments.root, Path(name), **numbers)
        chosen = DataConfig("camvid", str(root))
        data = open_data(chosen)
        for _ in range(arguments.rounds):
            for run, collapse in (("with curves", True), ("without curves", False)):
                config = TrainConfig(
                    chosen,
                    method="cross_entropy",
                    epochs=EPOCHS + 2,
                    batch_size=BATCH,
                    threads=1,
                    log_collapse=collapse,
                )
                taken.setdefault(f"equiseg train, {run}", []).append(ours(config, data))
            taken.setdefault("bare loop", []).append(bare_loop(config, data))
    rows = [
        {
            "run": run,
            "seconds of an epoch": statistics.median(values),
            "times the bare loop": ratio(values, taken["bare loop"]),
        }
        for run, values in taken.items()
    ]
    print(save("epoch", rows, train=arguments.train, val=arguments.val, batch=BATCH))
    print(table(rows))


if __name__ == "__main__":
    main()
