"""train: one run from configuration to result, resumable at any time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console

from equiseg.data.class_looks import ClassLooks
from equiseg.data.config import DataConfig, PointsConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.points.reading import ScanReading
from equiseg.data.title import data_title
from equiseg.evaluation.image_inference import check_evaluation
from equiseg.evaluation.scan_inference import voting_folder
from equiseg.imbalance import class_prior
from equiseg.ranks import Launch
from equiseg.records.run_result import RESULT, read_result, write_result
from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
from equiseg.runs.lock import held
from equiseg.runs.progress_bar import tracked
from equiseg.runs.provenance import provenance
from equiseg.runs.terminal import as_is
from equiseg.runs.threads import use_threads
from equiseg.runs.weights import ModelCard, save_weights
from equiseg.training.augmented_shares import drawn_shares, drawn_table
from equiseg.training.checkpoint_files import BEST, read_checkpoint
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import check_same, plain
from equiseg.training.fitting import Fitted, Run, fit
from equiseg.training.lightning_task import SegmentationTask
from equiseg.training.opened_data import OpenedData, class_looks, open_data, scan_reading
from equiseg.training.posthoc import adjust_classifier
from equiseg.training.samples import TrainingSamples, training_samples
from equiseg.training.split_scores import split_scores
from equiseg.whole_files import sweep


def train(
    config: TrainConfig, out: Path, console: Console | None = None, command: str = ""
) -> dict[str, Any]:
    """Train a network, keep the weights with the best validation mIoU, score them on val and test.

    ``out`` receives config.yaml, logs/, checkpoints/, model.safetensors and result.json. A run
    that was interrupted resumes from its last epoch when started again with the same configuration;
    a finished run returns its result.

    Args:
        config: The run.
        out: Its folder.
        console: Where to print; None prints nothing.
        command: The command that trains, for the record.

    Returns:
        The content of result.json.

    Raises:
        DataError: If the data cannot be used, naming the files.
        ValueError: If ``out`` holds other results or a run of another configuration, another
            process is writing to it, or an argument cannot work.
    """
    console = console or Console(quiet=True)
    check_outcome(out, Outcome.RUN)
    check_same(config, out)
    if (out / RESULT).is_file():
        console.print(as_is(f"{out} is finished; remove it to train again", "dim"))
        return read_result(out)

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    use_threads(config.threads)
    L.seed_everything(config.seed, verbose=False)
    data = open_data(config.data, track=_progress(console))
    check_evaluation(config.evaluation, data.spec.holds_points)
    _check_options(config.data, data.spec.holds_points)
    if config.evaluation.votes > 1:
        voting_folder(data.splits["val"], config.evaluation.votes)
    _tell_absent(data, console)
    task = SegmentationTask(config, data.spec, data.statistics, data.groups)
    run = Run(config, task, data, out, console, command)
    origin = provenance()  # of the code that is loaded now, whatever is edited meanwhile
    if data.spec.holds_points:
        train_split = data.splits["train"]
        scans: Any = (train_split[index] for index in range(len(train_split)))
        task.model.standardize.measure(scan.features_NC for scan in scans)
    # Read the card now: its file may change during training.
    reading, looks = scan_reading(config.data), class_looks(config.data, data.spec)
    training = training_samples(config, task.model, data, _progress(console))
    first = Launch.of_environment().first
    drawn = _tell_drawn(run, training) if first else None
    # Only now: a refused run leaves no trace.
    with held(out) if first else nullcontext():
        if first:
            sweep(out)
        mark_outcome(out, Outcome.RUN)
        fitted = fit(run, training)
        # All ranks score their share; the first one writes.
        result = _finish(run, fitted, _Origin(reading, looks, drawn, origin))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return result if task.global_rank == 0 else read_result(out)


@dataclass(frozen=True)
class _Origin:
    """At the start of a run: how scans are read and classes written, drawn shares, and the code."""

    reading: ScanReading | None
    looks: ClassLooks
    drawn: dict[str, Any] | None
    provenance: dict[str, str]


def _check_options(data: DataConfig, of_points: bool) -> None:
    """Raise an error for options that have no effect on the data."""
    if of_points and data.augment != AugmentConfig():
        raise ValueError("data.augment is for images; use data.points.augment and data.points.crop")
    if not of_points and data.points != PointsConfig():
        raise ValueError("data.points is for point clouds; use data.augment for images")


def _tell_absent(data: OpenedData, console: Console) -> None:
    """Say which classes cannot be learned: a mistyped label value looks like one."""
    counts = zip(data.spec.classes, data.statistics.pixels_K.tolist(), strict=True)
    if absent := [name for name, count in counts if count == 0]:
        names = ", ".join(absent)
        console.print(
            as_is(f"never labelled in train, so never learned: {names}", "yellow"),
            "; check their values in the card (equiseg doctor)",
            sep="",
        )


def _tell_drawn(run: Run, training: TrainingSamples) -> dict[str, Any] | None:
    """Show what samplers, crops and pasting do to the shares of the classes."""
    spec = run.data.spec
    drawn = drawn_shares(run.config, run.data, training, _progress(run.console))
    if drawn:
        run.console.print(drawn_table(drawn, spec.classes, of_points=spec.holds_points))
    return drawn


def _finish(run: Run, fitted: Fitted, origin: _Origin) -> dict[str, Any]:
    """Score the best weights, on all ranks, and write them and the result on the first."""
    config, task, data, out, clock = run.config, run.task, run.data, run.out, fitted.clock
    state = read_checkpoint(run.checkpoints / BEST)
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
        origin.looks,
    )
    if task.global_rank == 0:
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
            task.model,
            data,
            config,
            lambda name: _progress(run.console, f"scoring {name}"),
            rank=task.global_rank,
            num_ranks=task.trainer.world_size,
        ),
        "step_seconds": clock.step_seconds / clock.steps if clock.steps else None,
        "peak_memory_bytes": fitted.memory.peak_bytes,
        "memory_of": fitted.memory.of,
        "data_wait_share": clock.wait_share if clock.steps else None,
        "provenance": origin.provenance,
        "config": plain(config),
    }
    if task.global_rank == 0:
        write_result(result, out)
    return result


def _progress(console: Console, fixed: str | None = None) -> Any:
    """A wrapper of iterables that draws a bar and leaves nothing behind."""

    def wrap(items: Iterable[Any], name: str | None = None) -> Iterable[Any]:
        return tracked(items, fixed or f"reading {name}", console)

    return wrap
