"""equiseg demo."""

from __future__ import annotations

from pathlib import Path

from equiseg.cli.compare import run_comparison
from equiseg.training.config import DataConfig, TrainConfig


def demo(out: Path = Path("runs/demo"), seeds: list[int] = [0], epochs: int = 20) -> None:  # noqa: B006
    """Train a small network on built-in long-tailed rooms, with and without the regularizer.

    Two runs of one thread beside each other; prints the head/common/tail table with the collapse
    measures and writes a page to open.

    Args:
        out: Folder of the runs and the page.
        seeds: One is a demonstration; the documentation shows the spread over ten.
        epochs: Passes over the 400 training rooms.
    """
    config = TrainConfig(data=DataConfig(card="scenes"), epochs=epochs, val_every=4, threads=1)
    shown = "" if seeds == [0] else f" --seeds '{seeds}'"
    run_comparison(
        config, out, ["cross_entropy", "ceco"], seeds, 2, "test", f"equiseg demo{shown}"
    )
