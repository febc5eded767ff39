"""equiseg train."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

from equiseg.training.config import TrainConfig

MAIN_OPTIONS = {
    "data": ("data.card", "data.root", "data.size"),
    "method and network": ("method", "model.name"),
    "training": ("epochs", "batch_size", "optimizer.lr", "seed"),
    "run": ("out", "config"),
}


def train(config: TrainConfig, out: Path, page: bool = True) -> dict[str, Any]:
    """Train one network and score it.

    The folder gets the resolved configuration, logs, checkpoints, the best weights
    (model.safetensors), result.json and a page (report.html). Repeat the command to resume an
    interrupted run from its last epoch. Under torchrun it trains on all processes.

    Args:
        config: The run.
        out: The folder for the run.
        page: Draw the page of the run; a comparison draws one page for all its runs.

    Returns:
        The content of result.json: scores of each split, class frequencies, groups.

    Raises:
        ValueError: If the data, the network or the method cannot be used, or the folder holds a
            run of another configuration.
    """
    from rich.console import Console

    from equiseg.commands.command_text import command_text
    from equiseg.commands.tables import score_table
    from equiseg.ranks import Launch
    from equiseg.runs.parent_watch import end_with_parent
    from equiseg.runs.terminal import as_is, folder_line
    from equiseg.training.run import train as run

    end_with_parent()
    first = Launch.of_environment().first
    console = Console(quiet=not first)  # one voice under torchrun
    out = Path(out)
    result = run(config, out, console, command_text("train", config, out))
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
    console.print(folder_line("weights and results are in ", out))
    if first and page:
        console.print(as_is(_page(out)), highlight=False)
    run_folder = quote(str(out))
    next_commands = (
        f"equiseg evaluate --run {run_folder} --split {'test' if 'test' in result else 'val'}",
        f"equiseg diagnose {run_folder}",
        f"equiseg predict --weights {run_folder} --inputs FOLDER --out predicted",
    )
    console.print("next:", *next_commands, sep="\n  ", markup=False, highlight=False)
    return result


def _page(out: Path) -> str:
    """Draw the page of a run and say where it is; a run without matplotlib is still a run."""
    from equiseg.commands.draw_page import draw_page

    try:
        return f"page: {draw_page(out)}"
    except ImportError as error:
        return f"no page was drawn: {error}; then run: equiseg report {quote(str(out))}"
