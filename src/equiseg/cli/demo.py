"""equiseg demo."""

from __future__ import annotations

from pathlib import Path

from equiseg.cli.compare import run_comparison
from equiseg.data.scenes import SceneConfig
from equiseg.training.config import DataConfig, OptimizerConfig, TrainConfig

# Twelve classes in small rooms: what two cores can teach a network from nothing in two minutes.
DEMO = TrainConfig(
    data=DataConfig(
        card="scenes",
        scenes=SceneConfig(num_classes=12, image_size=(64, 80), imbalance=100.0),
        num_scenes=(400, 100, 200),
    ),
    optimizer=OptimizerConfig(lr=2e-3),
    epochs=15,
    val_every=3,
    threads=1,
)


def demo(out: Path = Path("runs/demo"), seeds: list[int] = [0]) -> None:  # noqa: B006
    """Train a small network on built-in long-tailed rooms, with and without the regularizer.

    Two runs of one thread beside each other, two minutes on two cores. Prints the
    head/common/tail table with the collapse measures and writes a page to open.

    Args:
        out: Folder of the runs and the page.
        seeds: One is a demonstration; the documentation shows the spread over ten.
    """
    shown = "" if seeds == [0] else f" --seeds '{seeds}'"
    methods = ["cross_entropy", "ceco"]
    run_comparison(DEMO, out, methods, seeds, 2, "test", f"equiseg demo{shown}")
