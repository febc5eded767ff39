"""equiseg demo."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from equiseg.data.config import DataConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.pictures.config import PicturesConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.training.config import OptimizerConfig, TrainConfig

MAIN_OPTIONS = {"options": ("points", "out", "seeds")}


@cache
def demo_config(points: bool = False) -> TrainConfig:
    """What the demonstration trains on.

    Args:
        points: Forty classes of scans, thinly sampled; else twelve classes of small pictures, which
            two cores can teach a network from scratch in two minutes.
    """
    if points:
        return TrainConfig(
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
    return TrainConfig(
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


def demo(
    points: bool = False,
    out: Path | None = None,
    seeds: tuple[int, ...] = (0,),
) -> None:
    """Train a small network on built-in long-tailed data, with and without the regularizer.

    Two runs of one thread in parallel: two minutes on two cores, four with --points. Prints the
    head/common/tail table with the collapse measures and writes a page to open.

    Args:
        points: Scans in place of pictures.
        out: The folder for the runs and the page. Default: runs/demo, or runs/demo-points.
        seeds: One is a demonstration; the documentation shows the spread over ten.

    Raises:
        ValueError: If the folder holds other results.
        RuntimeError: If a run fails.
    """
    from equiseg.commands.command_text import command_text
    from equiseg.commands.run_comparison import run_comparison
    from equiseg.study.plan import Plan, Task

    out = Path(out or ("runs/demo-points" if points else "runs/demo"))
    task = Task(".", demo_config(points), seeds)
    plan = Plan([task], ["cross_entropy", "ceco"], out)
    run_comparison(plan, jobs=2, command=command_text("demo", points, out, seeds))
