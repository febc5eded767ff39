"""equiseg train."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from equiseg.commands.tables import score_table
from equiseg.training.config import TrainConfig


def train(config: TrainConfig, out: Path) -> None:
    """Train one network and score it.

    The folder gets the resolved configuration, logs, checkpoints, the best weights
    (model.safetensors) and result.json. Started again, an interrupted run goes on from its last
    epoch. Under torchrun it trains on all processes.

    Args:
        config: The run.
        out: Folder of the run.
    """
    from equiseg.training.run import train as run

    console = Console(quiet=int(os.environ.get("RANK", 0)) > 0)  # one voice under torchrun
    result = run(config, out, console)
    for split in ("val", "test"):
        if split in result:
            shown = (
                result[split],
                result["classes"],
                result["groups"],
                split,
                result.get("unit", "pixel"),
            )
            console.print(score_table(*shown))
    console.print(f"weights and results are in [bold]{out}[/bold]")
