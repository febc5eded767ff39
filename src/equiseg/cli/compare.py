"""equiseg compare."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from equiseg.cli.tables import comparison_table
from equiseg.training.config import TrainConfig


def compare(
    config: TrainConfig,
    out: Path,
    methods: list[str] = ["cross_entropy", "ceco"],  # noqa: B006 - read only; shown in --help
    seeds: list[int] = [0, 1, 2, 3, 4],  # noqa: B006
    jobs: int = 1,
    split: str = "test",
) -> None:
    """Train several methods with several seeds and compare them, paired by seed.

    Finished runs are kept: started again, or with more seeds, only what is missing is trained.
    Writes comparison.json, a page (report.html) and its figures into the folder.

    Args:
        config: What all runs share.
        out: Folder of the comparison.
        methods: What to compare, the baseline first: a method, or a name with changes to the
            configuration, as "ceco-s10:method=ceco,ceco.scale=10".
        seeds: Each method is trained with each of them.
        jobs: Runs beside each other; give each its share of the cores with --threads.
        split: The split whose scores are compared. Choose settings on val, claim on test.
    """
    command = "equiseg " + shlex.join(sys.argv[1:])
    run_comparison(config, out, methods, seeds, jobs, split, command)


def run_comparison(
    config: TrainConfig,
    out: Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    jobs: int,
    split: str,
    command: str,
) -> Path:
    """Train, show a bar for each run, print the table, write the page; returns its path."""
    from equiseg.report.comparison import report_comparison
    from equiseg.training.compare import Variant
    from equiseg.training.compare import compare as run

    console = Console()
    variants = [Variant.parse(text, config) for text in methods]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {}

        def show(name: str, share: float) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=1.0)
            progress.update(bars[name], completed=share)

        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: end the runs too
        comparison = run(variants, seeds, out, jobs=jobs, split=split, report=show)
    console.print(comparison_table(comparison))
    page = report_comparison(out, comparison, command)
    console.print(f"page: [bold]{page}[/bold]")
    return page
