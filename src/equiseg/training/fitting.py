"""Fitting: one training by Lightning, with its callbacks, loaders and checkpoints."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import (  # type: ignore[attr-defined]
    ClusterEnvironment,
    LightningEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console

from equiseg.data.loading import (
    EpochSampler,
    collate_images,
    evaluation_loader,
    training_loader,
)
from equiseg.evaluation.batches import EqualBatches
from equiseg.evaluation.inputs import PointCollate
from equiseg.models.rank_batch_norm import over_ranks
from equiseg.ranks import Launch
from equiseg.records.run_result import PROGRESS
from equiseg.runs.terminal import as_is
from equiseg.training.callbacks import PeakMemory, ProgressFile, StepClock, ValidationTable
from equiseg.training.checkpoint_files import find_resumable
from equiseg.training.checkpoints import Checkpoints, WholeCheckpoints
from equiseg.training.collapse_curves import CollapseCurves
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import check_same_values, write_config
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.loggers import loggers
from equiseg.training.opened_data import OpenedData
from equiseg.training.samples import TrainingSamples
from equiseg.training.sided_batches import SidedCollate, map_sizes

_CURVE_POINTS = 15  # of a collapse curve: its moments take a third of the time of a validation
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # loading in the training process is a choice
    ".*in eval mode at the start of training.*",  # frozen stages are meant to be
    ".*callbacks used to create the checkpoint need to be provided.*",  # of earlier versions
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
        """Folder of last.ckpt, last-previous.ckpt and best.ckpt."""
        return self.out / "checkpoints"


@dataclass(frozen=True)
class Fitted:
    """The cost of training."""

    clock: StepClock
    memory: PeakMemory


def fit(run: Run, training: TrainingSamples) -> Fitted:
    """Train, from the newest valid checkpoint if there is one; best.ckpt has the best weights.

    Args:
        run: The training.
        training: Its samples.

    Returns:
        The cost.

    Raises:
        FileError: If no checkpoint of the run is valid, or it is of another configuration.
        ValueError: If training diverges.
        KeyboardInterrupt: If training is interrupted.
    """
    fitted = Fitted(StepClock(), PeakMemory())
    callbacks = _callbacks(run, fitted)
    trainer = _trainer(run, callbacks)
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if trainer.world_size > 1 and on_cpu:
        over_ranks(run.task.model)  # on GPUs the trainer does it, with torch's SyncBatchNorm
    checkpoint, epochs_done = _resumed(run)
    batches, validation = _loaders(run, training, epochs_done, on_cpu=on_cpu)
    if Launch.of_environment().first:
        write_config(run.config, run.out / "config.yaml")
    if not _shows_bar(run.console):
        epochs = f"epoch {run.config.val_every} of {run.config.epochs}"
        run.console.print(f"training; the first scores come after {epochs}", style="dim")
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(run.task, batches, validation, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as left:
            # Lightning ends without a message: with status 1 after Ctrl-C, 0 after SIGTERM
            if trainer.interrupted and (isinstance(left, SIGTERMException) or left.code == 1):
                raise KeyboardInterrupt from None
            raise
    return fitted


def _resumed(run: Run) -> tuple[Path | None, int]:
    """The checkpoint to resume from, of this configuration, and its epochs; None for a new run."""

    def tell(text: str) -> None:
        run.console.print(as_is(text, "dim"), highlight=False)

    found = find_resumable(run.checkpoints, tell, write=Launch.of_environment().first)
    if found is None:
        return None, 0
    if (said := found.content.get("config")) is not None:
        check_same_values(said, run.config, found.path)
    return found.path, found.content["epoch"] + 1


def _callbacks(run: Run, fitted: Fitted) -> list[L.Callback]:
    """Checkpoints, measurements and progress, in the order in which they run."""
    config, spec = run.config, run.data.spec
    callbacks: list[L.Callback] = [Checkpoints(run.checkpoints), fitted.clock, fitted.memory]
    callbacks += [ValidationTable(run.console), ProgressFile(run.out / PROGRESS)]
    if config.log_collapse:
        layer = run.task.tap.layer
        every = -(-config.epochs // (config.val_every * _CURVE_POINTS))
        callbacks.append(
            CollapseCurves(len(spec.classes), layer, ignore_index=spec.ignore_index, every=every)
        )
    if config.patience is not None:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=config.patience))
    if _shows_bar(run.console):
        callbacks.append(RichProgressBar())
    return callbacks


def _shows_bar(console: Console) -> bool:
    return not console.quiet and console.is_terminal


def _loaders(
    run: Run, training: TrainingSamples, epochs_done: int, *, on_cpu: bool
) -> tuple[Any, Any]:
    """Batches of training and of validation, of this rank."""
    config, spec = run.config, run.data.spec
    rank, ranks, *_ = Launch.of_environment()
    workers = config.data.num_workers
    collate: Any = collate_images
    if spec.voxel_size is not None:
        collate = PointCollate(spec, config.data.points.supervision)
    views = training.views
    conventions = run.task.criterion.side_conventions
    # Measured on CPUs only; on a GPU the loss makes them itself, from the labels.
    if workers and on_cpu and conventions:
        sizes = map_sizes(run.task.model, run.task.tap, *collate([views[0]]))
        collate = SidedCollate(collate, len(spec.classes), spec.ignore_index, conventions, sizes)
    sampler = EpochSampler(len(views), config.seed, rank, ranks, training.draws_S)
    sampler.set_epoch(epochs_done)  # Lightning does so after workers were given the first batches
    batches = training_loader(
        views, sampler, config.batch_size, num_workers=workers, collate=collate
    )
    validation = evaluation_loader(
        run.data.splits["val"], num_workers=workers, rank=rank, num_ranks=ranks
    )
    return batches, EqualBatches(validation)


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
        logger=loggers(run.out),
        callbacks=callbacks,
        plugins=[WholeCheckpoints(), _environment(ranks)],
        enable_progress_bar=_shows_bar(run.console),
        enable_model_summary=False,
        log_every_n_steps=1,
        deterministic="warn",
    )


def _environment(ranks: int) -> ClusterEnvironment:
    """Torchrun or one process; the variables of a SLURM job do not show how this was started."""
    return TorchElasticEnvironment() if ranks > 1 else LightningEnvironment()
