"""Tasks of the study trained on a GPU, with cross entropy and with center collapse.

Every run is an ``equiseg train`` in a separate process; all methods and seeds of a task train in
parallel on one GPU. The schedules are fixed, so two calls give the same rows, which can be compared
with benchmarks/results/study.csv (from a CPU). The folders of the runs are in OUT/training, for
``equiseg diagnose`` and ``equiseg report``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.section import Section

if TYPE_CHECKING:
    from equiseg.study.parallel_runs import Run
    from equiseg.training.config import TrainConfig

_BENCHMARKS = Path(__file__).parents[1]
METHODS = ("cross_entropy", "ceco")
_SHOWN = ("miou", "mean_accuracy", "head", "common", "tail")


@dataclass(frozen=True)
class Training:
    """A task of the benchmark.

    Attributes:
        config: File with its options, from benchmarks/.
        seconds: Upper estimate of the time of all runs in parallel on an H200 with 16 cores.
        data: Folder of its data in the folder of --data; None for built-in data.
        changes: Fields of the configuration that differ from the file.
    """

    config: str
    seconds: float
    data: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)


IMAGES = {
    "scenes fpn-small": Training("study/scenes.yaml", 60),
    "camvid fpn-lite0": Training("study/camvid.yaml", 40, "camvid"),
    "ccp fpn-lite0": Training("study/ccp.yaml", 50, "ccp"),
    "camvid fpn-small": Training(
        "configs/camvid_small.yaml", 45, "camvid", {"epochs": 10, "val_every": 2}
    ),
}
SCANS = {"rooms minkunet-small": Training("study/rooms.yaml", 60)}


def images(section: Section) -> None:
    """Dense networks on built-in pictures, CamVid and CCP."""
    _train(section, IMAGES)


def scans(section: Section) -> None:
    """A sparse network on built-in scans."""
    _train(section, SCANS)


def _train(section: Section, tasks: dict[str, Training]) -> None:
    """A row a run, and the mean of each method."""
    # Only this section needs the extra "train".
    from equiseg.study.parallel_runs import reason_of, train_all
    from equiseg.study.plan import Plan, Task

    section.seeds = section.seeds[:1] if section.tiny else section.seeds
    for name, training in tasks.items():
        if training.data and section.data is None:
            section.skipped.append(f"{name}: needs --data")
            continue
        if not section.fits(name, 1 if section.tiny else training.seconds):
            continue
        task = Task(name.replace(" ", "-"), _config(section, training), section.seeds)
        plan = Plan([task], METHODS, section.out / "training")
        runs = plan.final_runs({(task.name, method): method for method in METHODS})
        start = time.monotonic()
        try:
            train_all(runs, len(runs))
        finally:
            section.facts[f"seconds of {name}"] = f"{time.monotonic() - start:.0f}"
            _report(section, name, runs)
        for run in runs:
            if not run.is_finished:
                key = f"{name}, {run.config.method}, {run.config.seed}"
                section.facts[key] = reason_of(run.folder)


def _config(section: Section, training: Training) -> TrainConfig:
    """The configuration of a task; a few samples of it where the section is tiny."""
    from equiseg.training.config_file import read_config

    config = replace(read_config(_BENCHMARKS / training.config), **training.changes)
    data = config.data
    if training.data and section.data:
        data = replace(data, root=str(section.data / training.data))
    if section.tiny:
        config = replace(config, epochs=2, val_every=2)
        if not training.data:
            few = replace(data.synthetic, num_samples=(16, 4, 4))
            data = replace(data, synthetic=few)
    return replace(config, data=data, threads=None)


def _report(section: Section, name: str, runs: list[Run]) -> None:
    """Rows of the runs that finished."""
    from equiseg.records.run_result import read_result

    rows: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    for run in runs:
        if not run.is_finished:
            section.skipped.append(f"{name}, {run.config.method}, seed {run.config.seed}: no score")
            continue
        result = read_result(run.folder)
        row = {"task": name, "method": run.config.method, "seed": run.config.seed}
        row |= {"epochs": run.config.epochs, "best epoch": result["best_epoch"]}
        row |= {"val_miou": result["val"]["miou"]}
        row |= {score: result["test"][score] for score in _SHOWN}
        row |= {"step ms": 1e3 * result["step_seconds"]}
        row |= {"peak MB": result["peak_memory_bytes"] / 1e6}
        rows[run.config.method].append(row | {"data wait %": 100 * result["data_wait_share"]})
    for method, of_method in rows.items():
        for row in of_method:
            section.add(row)
        if of_method:
            keys = [key for key, value in of_method[0].items() if isinstance(value, float)]
            means = {key: sum(row[key] for row in of_method) / len(of_method) for key in keys}
            seeds = f"mean of {len(of_method)}"
            section.add({"task": name, "method": method, "seed": seeds} | means)
