"""equiseg compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equiseg.training.config import TrainConfig

MAIN_OPTIONS = {
    "data": ("data.card", "data.root"),
    "comparison": ("methods", "seeds", "trials", "tasks"),
    "training": ("model.name", "epochs", "optimizer.lr"),
    "run": ("out", "jobs", "config"),
}


@dataclass(frozen=True)
class TaskFile:
    """A task of a comparison: data, a network and a schedule.

    Attributes:
        config: YAML file with options of training; they override the command line.
        seeds: Seeds of this task, where they differ from the others'.
    """

    config: Path
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CompareOptions:
    """Which methods are compared, and how.

    Attributes:
        methods: The methods to compare, the baseline first. Each is a method, as "cross_entropy +
            dice", or a name with changes to the configuration, as "strong:method=cross_entropy +
            center_collapse(weight=0.8)". A value to tune is written with its default and a range,
            as "focal:method=focal(gamma=2 or uniform(0.5, 5))"; ranges are uniform, loguniform and
            choice. A file may also map the name of each to its method or its changes.
        seeds: Every method is trained with each of them.
        jobs: Number of parallel runs. They share the cores unless --threads is given.
        split: The split whose scores are compared. Settings are chosen on val.
        tasks: Name of each task with its file, as {camvid: {config: camvid.yaml}}. Without it, the
            methods are compared on the data of this command.
        trials: Settings of each method to try on each task. With a seed of their own: the
            defaults, then random draws from the ranges. 1 tries the defaults alone.
        search: Ranges that apply to every method, as "optimizer.lr=1e-3 or
            loguniform(5e-4,4e-3)".
        select: Validation score that chooses the best setting.
    """

    methods: tuple[str, ...] | dict[str, Any] = ("cross_entropy", "ceco")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    jobs: int = 1
    split: str = "test"
    tasks: dict[str, TaskFile] = field(default_factory=dict)
    trials: int = 1
    search: tuple[str, ...] | dict[str, Any] = ()
    select: str = "miou"


def compare(
    config: TrainConfig,
    out: Path,
    options: CompareOptions = CompareOptions(),
) -> None:
    """Train several methods with several seeds and compare them, paired by seed.

    Finished runs are kept: repeat the command, or add seeds, and only the missing runs are
    trained. Writes results.csv with a row per run, comparison.json, a page (report.html) and its
    figures. Several tasks make a study: a page for each task and one over all of them. Under
    torchrun the processes share the runs.

    Args:
        config: The options that all runs share.
        out: The folder for the comparison.
        options: Which methods are compared, and how.

    Raises:
        ValueError: If a method or a task cannot be read, or the folder holds other results.
        RuntimeError: If runs fail; the others are finished.
    """
    from equiseg.commands.command_text import command_text
    from equiseg.commands.run_comparison import run_comparison
    from equiseg.study.method_texts import method_texts
    from equiseg.study.plan import Plan, Task
    from equiseg.training.config_file import read_config

    tasks = [
        Task(
            name,
            read_config(file.config, config),
            options.seeds if file.seeds is None else file.seeds,
        )
        for name, file in options.tasks.items()
    ]
    plan = Plan(
        tasks or [Task(".", config, options.seeds)],
        method_texts(options.methods, options.search),
        Path(out),
        trials=options.trials,
        select=options.select,
        split=options.split,
    )
    run_comparison(plan, options.jobs, command_text("compare", config, out, options))
