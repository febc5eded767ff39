"""Fitting: one training by Lightning, with its callbacks, loaders and checkpoints."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console

from equiseg.data.loading import EpochSampler, evaluation_loader, training_loader
from equiseg.evaluation.inputs import PointCollate
from equiseg.models.rank_batch_norm import over_ranks
from equiseg.ranks import Launch
from equiseg.training.callbacks import PeakMemory, ProgressFile, StepClock, ValidationTable
from equiseg.training.collapse_curves import CollapseCurves
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import write_config
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.opened_data import OpenedData
from equiseg.training.samples import TrainingSamples

PROGRESS = "progress"
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # loading in the training process is a choice
    ".*in eval mode at the start of training.*",  # frozen stages are meant to be
    ".*Checkpoint directory .* exists and is not empty.*",  # that is what resuming means
    ".*isinstance.treespec, LeafSpec.*",
)
_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class Run:
    """One training: its configuration, network and data, and where it writes and prints."""

    config: TrainConfig
    task: SegmentationTask
    data: OpenedData
    out: Path
    console: Console
    command: str

    @property
    def checkpoints(self) -> Path:
        """Folder of last.ckpt and best.ckpt."""
        return self.out / "checkpoints"


@dataclass(frozen=True)
class Fitted:
    """The best checkpoint by validation mIoU, and the cost of training."""

    best: ModelCheckpoint
    clock: StepClock
    memory: PeakMemory


def fit(run: Run, training: TrainingSamples) -> Fitted:
    """Train, from the last checkpoint if there is one.

    Args:
        run: The training.
        training: Its samples.

    Returns:
        The best checkpoint and the cost.

    Raises:
        KeyboardInterrupt: If training is interrupted.
    """
    best = ModelCheckpoint(run.checkpoints, "best", monitor="val/miou", mode="max")
    fitted = Fitted(best, StepClock(), PeakMemory())
    callbacks = _callbacks(run, fitted)
    batches, validation = _loaders(run, training)
    trainer = _trainer(run, callbacks)
    if trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        over_ranks(run.task.model)  # on GPUs the trainer does it, with torch's SyncBatchNorm
    resume = run.checkpoints / "last.ckpt"
    checkpoint = str(resume) if resume.is_file() else None
    if checkpoint:
        run.console.print(f"[dim]resuming from {resume.name}[/dim]")
    if Launch.of_environment().first:
        write_config(run.config, run.out / "config.yaml")
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(run.task, batches, validation, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:
            if trainer.interrupted:  # Lightning leaves without a word
                raise KeyboardInterrupt from None
            raise
    return fitted


def _callbacks(run: Run, fitted: Fitted) -> list[L.Callback]:
    """Checkpoints, measurements and progress, in the order in which they run."""
    config, spec = run.config, run.data.spec
    last = ModelCheckpoint(
        run.checkpoints, "last", enable_version_counter=False, save_on_train_epoch_end=True
    )
    callbacks: list[L.Callback] = [fitted.best, last, fitted.clock, fitted.memory]
    callbacks += [ValidationTable(run.console), ProgressFile(run.out / PROGRESS)]
    if config.log_collapse:
        layer = run.task.tap.layer
        callbacks.append(CollapseCurves(len(spec.classes), layer, ignore_index=spec.ignore_index))
    if config.patience is not None:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=config.patience))
    if _shows_bar(run.console):
        callbacks.append(RichProgressBar())
    return callbacks


def _shows_bar(console: Console) -> bool:
    return not console.quiet and console.is_terminal


def _loaders(run: Run, training: TrainingSamples) -> tuple[Any, Any]:
    """Batches of training and of validation, of this rank."""
    config, spec = run.config, run.data.spec
    rank, ranks, *_ = Launch.of_environment()
    workers = config.data.num_workers
    collate = None
    if spec.voxel_size is not None:
        collate = PointCollate(spec, config.data.points.supervision)
    views = training.views
    sampler = EpochSampler(len(views), config.seed, rank, ranks, training.draws_S)
    batches = training_loader(
        views, sampler, config.batch_size, num_workers=workers, collate=collate
    )
    validation = evaluation_loader(
        run.data.splits["val"], num_workers=workers, rank=rank, num_ranks=ranks
    )
    return batches, validation


def _trainer(run: Run, callbacks: list[L.Callback]) -> L.Trainer:
    """Lightning's trainer for the options of the run."""
    config = run.config
    # torchrun says how many processes there are; alone, one device is what a user expects.
    _, ranks, _, devices = Launch.of_environment()
    return L.Trainer(
        accelerator="auto",
        devices=devices,
        num_nodes=max(1, ranks // devices),
        strategy="ddp" if ranks > 1 else "auto",
        sync_batchnorm=ranks > 1 and torch.cuda.is_available(),
        max_epochs=config.epochs,
        precision=_PRECISION[config.precision],
        gradient_clip_val=config.optimizer.clip or None,
        accumulate_grad_batches=config.optimizer.accumulate,
        check_val_every_n_epoch=config.val_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # our loaders already give each rank its share
        logger=[CSVLogger(run.out, "logs"), TensorBoardLogger(run.out, "tensorboard")],
        callbacks=callbacks,
        enable_progress_bar=_shows_bar(run.console),
        enable_model_summary=False,
        log_every_n_steps=1,
        deterministic="warn",
    )
