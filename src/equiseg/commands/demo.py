"""equiseg demo."""

from __future__ import annotations

from pathlib import Path

from equiseg.commands.compare import run_comparison
from equiseg.data.config import DataConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.study.plan import Task
from equiseg.training.config import OptimizerConfig, TrainConfig

# Twelve classes in small rooms: what two cores can teach a network from nothing in two minutes.
DEMO = TrainConfig(
    data=DataConfig(
        card="pictures",
        synthetic=SyntheticConfig(
            pictures=PicturesConfig(num_classes=12, image_size=(64, 80), imbalance=100.0),
            num_samples=(400, 100, 200),
        ),
    ),
    optimizer=OptimizerConfig(lr=2e-3),
    epochs=15,
    val_every=3,
    threads=1,
)

# The same for scans: forty classes, thinly sampled.
POINTS_DEMO = TrainConfig(
    data=DataConfig(
        card="scans",
        synthetic=SyntheticConfig(
            scans=ScansConfig(num_classes=40, points=4000), num_samples=(240, 40, 80)
        ),
    ),
    optimizer=OptimizerConfig(lr=4e-3),
    epochs=8,
    batch_size=4,
    val_every=2,
    threads=1,
)


def demo(
    points: bool = False,
    out: Path | None = None,
    seeds: list[int] = [0],  # noqa: B006
) -> None:
    """Train a small network on built-in long-tailed rooms, with and without the regularizer.

    Two runs of one thread beside each other: two minutes on two cores, four with points. Prints the
    head/common/tail table with the collapse measures and writes a page to open.

    Args:
        points: Rooms as scanned points instead of pictures, six minutes at most.
        out: Folder of the runs and the page; runs/demo or runs/demo-points if not said otherwise.
        seeds: One is a demonstration; the documentation shows the spread over ten.
    """
    shown = "equiseg demo" + " --points" * points
    shown += "" if seeds == [0] else f" --seeds '{seeds}'"
    config = POINTS_DEMO if points else DEMO
    out = out or Path("runs/demo-points" if points else "runs/demo")
    task = Task(".", config, seeds)
    run_comparison([task], ["cross_entropy", "ceco"], out, command=shown, jobs=2)
