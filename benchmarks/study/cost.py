"""Time of a training step of each method of the study, relative to cross entropy.

    python -m benchmarks.study.cost

One batch for each task of benchmarks/study/study.yaml, on one thread: forward, the losses, backward
and AdamW. The methods take turns, so that other load on the machine affects all of them.
Differences in the data alone (samplers) are not measured. Writes benchmarks/results/study_cost.json
and prints the table.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.measure import ratio, save, seconds, table
from equiseg.data.loading import EpochSampler, training_loader
from equiseg.evaluation.inputs import PointCollate, inverse_of, network_input
from equiseg.study.search_ranges import with_defaults
from equiseg.study.variant import Variant
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import read_config
from equiseg.training.opened_data import OpenedData, open_data
from equiseg.training.optimizer import build_optimizer
from equiseg.training.samples import training_samples
from equiseg.training.task import SegmentationTask

STUDY = Path(__file__).parent / "study.yaml"


def measure(name: str, config: TrainConfig, methods: list[str], rounds: int) -> dict[str, Any]:
    """One row: milliseconds of a step of the first method, and the other methods relative to it."""
    data = open_data(config.data)
    steps: dict[str, Callable[[], None]] = {}
    batch = None
    for text in methods:
        variant = Variant.parse(with_defaults(text), config)
        if variant.config.data != config.data:
            continue
        torch.manual_seed(0)
        task = SegmentationTask(variant.config, data.spec, data.statistics, data.groups)
        batch = first_batch(config, task, data) if batch is None else batch
        steps[variant.name] = step_of(task, batch)
    taken = seconds(steps, rounds=rounds)
    first, *others = steps
    row: dict[str, Any] = {"task": name, f"{first}: ms": 1e3 * statistics.median(taken[first])}
    return row | {other: ratio(taken[other], taken[first]) for other in others}


def first_batch(config: TrainConfig, task: SegmentationTask, data: OpenedData) -> Any:
    """The first batch of a training."""
    views = training_samples(config, task.model, data, lambda items, _: items).views
    voxels = data.spec.voxel_size is not None
    collate = PointCollate(data.spec, config.data.points.supervision) if voxels else None
    sampler = EpochSampler(len(views), config.seed)
    return next(iter(training_loader(views, sampler, config.batch_size, collate=collate)))


def step_of(task: SegmentationTask, batch: Any) -> Callable[[], None]:
    """A function that performs one training step."""
    inputs, labels = batch
    optimizer = build_optimizer(task.model, task.criterion, task.config.optimizer)
    task.train()
    task.on_train_batch_start()

    def step() -> None:
        optimizer.zero_grad()
        logits = task.model(network_input(inputs))
        parts = task.criterion(logits, task.tap.features, labels, inverse_of(inputs))
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tasks", nargs="*", help="of the study; all if not given")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    rows = [
        measure(name, read_config(Path(task["config"])), study["methods"], arguments.rounds)
        for name, task in study["tasks"].items()
        if name in (arguments.tasks or study["tasks"])
    ]
    print(save("study_cost", rows))
    print(table(rows))
