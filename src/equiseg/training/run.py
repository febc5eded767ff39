"""train: one run from configuration to result, resumable at any time."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
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


def train(config: TrainConfig, out: Path, console: Console | None = None) -> dict[str, Any]:
    """Train, keep the weights that are best on the validation split, score them on all splits.

    ``out`` receives config.yaml, logs/, checkpoints/, model.safetensors and result.json. A run
    that was cut off goes on from its last epoch when started again with the same configuration;
    one that is finished returns its result.

    Args:
        config: The run.
        out: Its folder.
        console: Where to print; None prints nothing.

    Returns:
        What result.json holds.

    Raises:
        DataError: If the data cannot be used, naming the files.
        ValueError: If ``out`` holds other results or a run of another configuration, another
            process is writing to it, or an argument cannot work.
    """
    quiet = console is None
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
    origin = provenance()  # of the code that is loaded now, whatever is edited meanwhile
    if data.spec.holds_points:
        train_split = data.splits["train"]
        scans: Any = (train_split[index] for index in range(len(train_split)))
        task.model.standardize.measure(scan.features_NC for scan in scans)
    reading = scan_reading(config.data)  # the card as it is now, whatever becomes of its file
    training = training_samples(config, task.model, data, _progress(console))
    drawn = None
    if int(os.environ.get("RANK", 0)) == 0:
        drawn = _tell_drawn(config, data, training, console)
    result = None
    # Only now: a refused run leaves no trace.
    with held(out) if int(os.environ.get("RANK", 0)) == 0 else nullcontext():
        mark_outcome(out, Outcome.RUN)
        best, clock, memory = _fit(config, task, data, training, out, console, quiet)
        if task.global_rank == 0:
            result = _finish(
                config, task, data, reading, out, best, clock, memory, drawn, origin, console
            )
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return result or read_result(out)


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


def _tell_drawn(
    config: TrainConfig, data: OpenedData, training: TrainingSamples, console: Console
) -> dict[str, Any] | None:
    """Show what samplers, crops and pasting do to the shares of the classes."""
    drawn = drawn_shares(config, data, training, _progress(console))
    if drawn:
        console.print(drawn_table(drawn, data.spec.classes, of_points=data.spec.holds_points))
    return drawn


def _fit(
    config: TrainConfig,
    task: SegmentationTask,
    data: OpenedData,
    training: TrainingSamples,
    out: Path,
    console: Console,
    quiet: bool,
) -> tuple[ModelCheckpoint, StepClock, PeakMemory]:
    """Run Lightning; the best checkpoint by validation mIoU, and what training cost."""
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    folder = out / "checkpoints"
    best = ModelCheckpoint(folder, "best", monitor="val/miou", mode="max")
    last = ModelCheckpoint(
        folder, "last", enable_version_counter=False, save_on_train_epoch_end=True
    )
    clock, memory = StepClock(), PeakMemory()
    callbacks: list[L.Callback] = [best, last, clock, memory, ValidationTable(console)]
    callbacks.append(ProgressFile(out / PROGRESS))
    if config.log_collapse:
        spec = data.spec
        callbacks.append(
            CollapseCurves(len(spec.classes), task.tap.layer, ignore_index=spec.ignore_index)
        )
    if config.patience is not None:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=config.patience))
    show_bar = not quiet and console.is_terminal
    if show_bar:
        callbacks.append(RichProgressBar())
    workers = config.data.num_workers
    collate = None
    if data.spec.voxel_size is not None:
        collate = PointCollate(data.spec, config.data.points.supervision)
    views = training.views
    sampler = EpochSampler(len(views), config.seed, rank, ranks, training.draws_S)
    batches = training_loader(
        views, sampler, config.batch_size, num_workers=workers, collate=collate
    )
    validation = evaluation_loader(
        data.splits["val"], num_workers=workers, rank=rank, num_ranks=ranks
    )
    trainer = L.Trainer(
        accelerator="auto",
        # torchrun says how many processes there are; alone, one device is what a user expects.
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
        num_nodes=max(1, ranks // int(os.environ.get("LOCAL_WORLD_SIZE", 1))),
        strategy="ddp" if ranks > 1 else "auto",
        max_epochs=config.epochs,
        precision=_PRECISION[config.precision],
        gradient_clip_val=config.optimizer.clip or None,
        accumulate_grad_batches=config.optimizer.accumulate,
        check_val_every_n_epoch=config.val_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # our loaders already give each rank its share
        logger=[CSVLogger(out, "logs"), TensorBoardLogger(out, "tensorboard")],
        callbacks=callbacks,
        enable_progress_bar=show_bar,
        enable_model_summary=False,
        log_every_n_steps=1,
        deterministic="warn",
    )
    resume = folder / "last.ckpt"
    checkpoint = str(resume) if resume.is_file() else None
    if checkpoint:
        console.print(f"[dim]goes on from {checkpoint}[/dim]")
    if rank == 0:
        write_config(config, out / "config.yaml")
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(task, batches, validation, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:
            if trainer.interrupted:  # Lightning leaves without a word
                raise KeyboardInterrupt from None
            raise
    return best, clock, memory


def _finish(
    config: TrainConfig,
    task: SegmentationTask,
    data: OpenedData,
    reading: ScanReading | None,
    out: Path,
    best: ModelCheckpoint,
    clock: StepClock,
    memory: PeakMemory,
    drawn: dict[str, Any] | None,
    origin: dict[str, str],
    console: Console,
) -> dict[str, Any]:
    """Score the best weights and write them and the result."""
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
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
        reading,
    )
    save_weights(task.model, card, out / "model.safetensors")
    result = {
        "method": config.method,
        "seed": config.seed,
        "classes": list(data.spec.classes),
        "groups": {name: list(ids) for name, ids in groups},
        "unit": "point" if data.spec.holds_points else "pixel",
        "pixels": data.statistics.pixels_K.tolist(),
        "images": data.statistics.images_K.tolist(),
        **({"drawn": drawn} if drawn else {}),
        "best_epoch": epoch,
        **split_scores(
            task.model, data, config, lambda name: _progress(console, f"scoring {name}")
        ),
        "step_seconds": clock.step_seconds / clock.steps if clock.steps else None,
        "peak_memory_bytes": memory.peak_bytes,
        "memory_of": memory.of,
        "data_wait_share": clock.wait_share if clock.steps else None,
        "provenance": origin,
        "config": plain(config),
    }
    write_result(result, out)
    return result


def _progress(console: Console, fixed: str | None = None) -> Any:
    """A wrapper of iterables that draws a bar and leaves nothing behind."""

    def wrap(items: Iterable[Any], name: str | None = None) -> Iterable[Any]:
        return tracked(items, fixed or f"reading {name}", console)

    return wrap
