"""equiseg adjust."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from equiseg.commands.tables import score_table
from equiseg.runs.progress import tracked


def adjust(run: Path, out: Path, tau: float | None = None, select: str = "miou") -> None:
    """Give rare classes their due in a trained network, without training.

    Post-hoc logit adjustment (Menon et al. 2021): tau times the log-prior of the training pixels
    is taken off the classifier's bias. The folder holds the network and its scores, as if it had
    been trained with --adjust TAU.

    Args:
        run: Folder of a finished run, trained with plain cross entropy.
        out: Folder of the adjusted one.
        tau: Share of the adjustment: 0 none, 1 as if all classes were equally frequent. The best
            of 0, 0.1, ..., 1 on val if not said otherwise.
        select: Validation score by which it is best.
    """
    from equiseg.records.run_result import read_result
    from equiseg.training.config_file import read_config
    from equiseg.training.posthoc import adjust_run

    console = Console()

    scores = adjust_run(run, out, tau, select, partial(tracked, console=console))
    config = read_config(run / "config.yaml")
    drawn = config.data.chooses_by_class or config.data.sampling.by != "turn"
    if drawn or config.method != "cross_entropy":
        text = (
            f"{run} was not trained with plain cross entropy on classes as they come: rare ones "
            "are helped a second time, and val says whether it is too much"
        )
        console.print(Text(text, style="yellow"))
    result = read_result(out)
    for tried, score in scores.items():
        best = "  [bold]chosen[/bold]" if tried == result["config"]["adjust"] else ""
        console.print(f"tau {tried:.1f}: {select} on val {100 * score:.1f}{best}", highlight=False)
    for split in ("val", "test"):
        if split in result:
            shown = (result[split], result["classes"], result["groups"], split, result["unit"])
            console.print(score_table(*shown))
    if result["config"]["adjust"]:
        console.print(f"adjusted weights and results are in [bold]{out}[/bold]")
    else:
        console.print(f"tau 0 adjusts nothing: the network in [bold]{out}[/bold] is as it was")
