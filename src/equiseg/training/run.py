"""train: one run from configuration to result, resumable at any time."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from rich.console import Console

from equiseg.data.config import DataConfig, PointsConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import EpochSampler, evaluation_loader, training_loader
from equiseg.data.points.reading import ScanReading
from equiseg.data.title import data_title
from equiseg.evaluation.image_inference import check_evaluation
from equiseg.evaluation.inputs import PointCollate
from equiseg.evaluation.scan_inference import voting_folder
from equiseg.imbalance import class_prior
from equiseg.records.run_result import RESULT, read_result, write_result
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.runs.lock import held
from equiseg.runs.progress import tracked
from equiseg.runs.provenance import provenance
from equiseg.runs.weights import ModelCard, save_weights
from equiseg.training.augmented_shares import drawn_shares, drawn_table
from equiseg.training.callbacks import PeakMemory, ProgressFile, StepClock, ValidationTable
from equiseg.training.collapse_curves import CollapseCurves
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import check_same, plain, write_config
from equiseg.training.opened_data import OpenedData, open_data, scan_reading
from equiseg.training.posthoc import adjust_classifier
from equiseg.training.samples import TrainingSamples, training_samples
from equiseg.training.split_scores import split_scores
from equiseg.training.task import SegmentationTask

PROGRESS = "progress"
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # loading in the training process is a choice
    ".*in eval mode at the start of training.*",  # frozen stages are meant to be
    ".*Checkpoint directory .* exists and is not empty.*",  # that is what resuming means
    ".*isinstance.treespec, LeafSpec.*",
)
_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(
    config: TrainConfig, out: Path, console: Console | None = None, command: str = ""
) -> dict[str, Any]:
    """Train, keep the weights that are best on the validation split, score them on all splits.

    ``out`` receives config.yaml, logs/, checkpoints/, model.safetensors and result.json. A run
    that was interrupted resumes from its last epoch when started again with the same configuration;
    a finished run returns its result.

    Args:
        config: The run.
        out: Its folder.
        console: Where to print; None prints nothing.
        command: The command that trains, for the record.

    Returns:
        What result.json holds.

    Raises:
        DataError: If the data cannot be used, naming the files.
        ValueError: If ``out`` holds other results or a run of another configuration, another
            process is writing to it, or an argument cannot work.
    """
    console = console or Console(quiet=True)
    check_outcome(out, Outcome.RUN)
    check_same(config, out)
    if (out / RESULT).is_file():
        console.print(f"[dim]{out} is finished; remove it to train anew[/dim]")
        return read_result(out)

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    L.seed_everything(config.seed, verbose=False)
    data = open_data(config.data, track=_progress(console))
    check_evaluation(config.evaluation, data.spec.holds_points)
    _check_options(config.data, data.spec.holds_points)
    if config.evaluation.votes > 1:
        voting_folder(data.splits["val"], config.evaluation.votes)
    _tell_absent(data, console)
    task = SegmentationTask(config, data.spec, data.statistics, data.groups)
    run = _Run(config, task, data, out, console, command)
    origin = provenance()  # of the code that is loaded now, whatever is edited meanwhile
    if data.spec.holds_points:
        train_split = data.splits["train"]
        scans: Any = (train_split[index] for index in range(len(train_split)))
        task.model.standardize.measure(scan.features_NC for scan in scans)
    reading = scan_reading(config.data)  # the card as it is now, whatever becomes of its file
    training = training_samples(config, task.model, data, _progress(console))
    rank = int(os.environ.get("RANK", 0))
    drawn = _tell_drawn(run, training) if rank == 0 else None
    result = None
    # Only now: a refused run leaves no trace.
    with held(out) if rank == 0 else nullcontext():
        mark_outcome(out, Outcome.RUN)
        fitted = _fit(run, training)
        if task.global_rank == 0:
            result = _finish(run, fitted, _Origin(reading, drawn, origin))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return result or read_result(out)


@dataclass(frozen=True)
class _Run:
    """One training: its configuration, network and data, and where it writes and prints."""

    config: TrainConfig
    task: SegmentationTask
    data: OpenedData
    out: Path
    console: Console
    command: str

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"


@dataclass(frozen=True)
class _Fitted:
    """The best checkpoint by validation mIoU, and the cost of training."""

    best: ModelCheckpoint
    clock: StepClock
    memory: PeakMemory


@dataclass(frozen=True)
class _Origin:
    """How scans were read, which shares were drawn, and which code ran, at the start of a run."""

    reading: ScanReading | None
    drawn: dict[str, Any] | None
    provenance: dict[str, str]


def _check_options(data: DataConfig, of_points: bool) -> None:
    """Refuse options that the data at hand would not hear."""
    if of_points and data.augment != AugmentConfig():
        raise ValueError("data.augment is for images; use data.points.augment and data.points.crop")
    if not of_points and data.points != PointsConfig():
        raise ValueError("data.points is for point clouds; use data.augment for images")


def _tell_absent(data: OpenedData, console: Console) -> None:
    """Say which classes cannot be learned: a mistyped label value looks like one."""
    counts = zip(data.spec.classes, data.statistics.pixels_K.tolist(), strict=True)
    if absent := [name for name, count in counts if count == 0]:
        console.print(
            f"[yellow]never labelled in train, so never learned: {', '.join(absent)}[/yellow]; "
            "check their values in the card (equiseg doctor)"
        )


def _tell_drawn(run: _Run, training: TrainingSamples) -> dict[str, Any] | None:
    """Show what samplers, crops and pasting do to the shares of the classes."""
    spec = run.data.spec
    drawn = drawn_shares(run.config, run.data, training, _progress(run.console))
    if drawn:
        run.console.print(drawn_table(drawn, spec.classes, of_points=spec.holds_points))
    return drawn


def _fit(run: _Run, training: TrainingSamples) -> _Fitted:
    """Run Lightning."""
    best = ModelCheckpoint(run.checkpoints, "best", monitor="val/miou", mode="max")
    fitted = _Fitted(best, StepClock(), PeakMemory())
    callbacks = _callbacks(run, fitted)
    batches, validation = _loaders(run, training)
    trainer = _trainer(run, callbacks)
    resume = run.checkpoints / "last.ckpt"
    checkpoint = str(resume) if resume.is_file() else None
    if checkpoint:
        run.console.print(f"[dim]resuming from {resume.name}[/dim]")
    if int(os.environ.get("RANK", 0)) == 0:
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


def _callbacks(run: _Run, fitted: _Fitted) -> list[L.Callback]:
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


def _loaders(run: _Run, training: TrainingSamples) -> tuple[Any, Any]:
    """Batches of training and of validation, of this rank."""
    config, spec = run.config, run.data.spec
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
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


def _trainer(run: _Run, callbacks: list[L.Callback]) -> L.Trainer:
    """Lightning's trainer for the options of the run."""
    config = run.config
    # torchrun says how many processes there are; alone, one device is what a user expects.
    devices, ranks = (int(os.environ.get(f"{of}WORLD_SIZE", 1)) for of in ("LOCAL_", ""))
    return L.Trainer(
        accelerator="auto",
        devices=devices,
        num_nodes=max(1, ranks // devices),
        strategy="ddp" if ranks > 1 else "auto",
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


def _finish(run: _Run, fitted: _Fitted, origin: _Origin) -> dict[str, Any]:
    """Score the best weights and write them and the result."""
    config, task, data, out, clock = run.config, run.task, run.data, run.out, fitted.clock
    state = torch.load(fitted.best.best_model_path, map_location="cpu", weights_only=True)
    epoch = int(state["epoch"]) + 1
    task.load_state_dict(state["state_dict"])
    if config.adjust:
        prior_K = class_prior(data.statistics.pixels_K)
        adjust_classifier(task.tap.layer, prior_K, config.adjust)
    task.model.to(task.trainer.strategy.root_device)  # Lightning leaves it on the CPU
    groups = data.groups
    card = ModelCard(
        task.model_name,
        data.spec.classes,
        data.spec.ignore_index,
        config.data.size,
        groups,
        getattr(task.model, "configuration", None),
        origin.reading,
    )
    save_weights(task.model, card, out / "model.safetensors")
    result = {
        "method": config.method,
        "data_name": data_title(config.data.card, config.data.root),
        "command": run.command,
        "seed": config.seed,
        "classes": list(data.spec.classes),
        "groups": {name: list(ids) for name, ids in groups},
        "unit": "point" if data.spec.holds_points else "pixel",
        "pixels": data.statistics.pixels_K.tolist(),
        "images": data.statistics.images_K.tolist(),
        **({"drawn": origin.drawn} if origin.drawn else {}),
        "best_epoch": epoch,
        **split_scores(
            task.model, data, config, lambda name: _progress(run.console, f"scoring {name}")
        ),
        "step_seconds": clock.step_seconds / clock.steps if clock.steps else None,
        "peak_memory_bytes": fitted.memory.peak_bytes,
        "memory_of": fitted.memory.of,
        "data_wait_share": clock.wait_share if clock.steps else None,
        "provenance": origin.provenance,
        "config": plain(config),
    }
    write_result(result, out)
    return result


def _progress(console: Console, fixed: str | None = None) -> Any:
    """A wrapper of iterables that draws a bar and leaves nothing behind."""

    def wrap(items: Iterable[Any], name: str | None = None) -> Iterable[Any]:
        return tracked(items, fixed or f"reading {name}", console)

    return wrap
