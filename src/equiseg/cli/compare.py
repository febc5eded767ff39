"""equiseg compare."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

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
    Writes comparison.json, a page (report.html) and figures into the folder.

    Args:
        config: What all runs share.
        out: Folder of the comparison.
        methods: What to compare, the baseline first: a method, or a name with changes to the
            configuration, as "ceco-s10:method=ceco,ceco.scale=10".
        seeds: Each method is trained with each of them.
        jobs: Runs beside each other; give each its share of the cores with --config.threads.
        split: The split whose scores are compared. Choose settings on val, claim on test.
    """
    from equiseg.training.compare import Variant
    from equiseg.training.compare import compare as run

    console = Console()
    variants = [Variant.parse(text, config) for text in methods]
    comparison = run(variants, seeds, out, jobs=jobs, split=split, report=console.print)
    console.print(comparison_table(comparison))
