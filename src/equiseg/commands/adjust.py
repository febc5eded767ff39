"""equiseg adjust."""

from __future__ import annotations

from functools import partial
from pathlib import Path

MAIN_OPTIONS = {"options": ("run", "out", "tau", "select", "threads")}


def adjust(
    run: Path, out: Path, tau: float | None = None, select: str = "miou", threads: int | None = None
) -> None:
    """Post-hoc logit adjustment of a trained network.

    Subtracts tau times the log-prior of the training pixels from the classifier's bias (Menon et
    al. 2021); nothing is trained. The folder gets the network and its scores, as if it had been
    trained with --adjust TAU.

    Args:
        run: The folder of a finished run, trained with plain cross entropy.
        out: The folder for the adjusted run.
        tau: Strength of the adjustment: 0 none, 1 as if all classes were equally frequent. Without
            it, the best of 0, 0.1, ..., 1 on val.
        select: Validation score that chooses tau.
        threads: CPU threads. None takes all cores.

    Raises:
        ValueError: If the run was adjusted before, by this or by its loss, the folder holds
            results, or the score is unknown.
    """
    from rich.console import Console

    from equiseg.commands.tables import score_table
    from equiseg.records.run_result import read_result
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.terminal import as_is, folder_line
    from equiseg.runs.threads import use_threads
    from equiseg.training.config_file import read_config
    from equiseg.training.posthoc import adjust_run

    use_threads(threads)
    run, out = Path(run), Path(out)
    console = Console()
    scores = adjust_run(run, out, tau, select, partial(tracked, console=console))
    config = read_config(run / "config.yaml")
    rebalanced = config.data.chooses_by_class or config.data.sampling.by != "turn"
    if rebalanced or config.method != "cross_entropy":
        text = (
            f"{run} was not trained with plain cross entropy on uniformly drawn samples: rare "
            "classes are favoured twice; compare the scores on val"
        )
        console.print(as_is(text, "yellow"))
    result = read_result(out)
    for tried, score in scores.items():
        best = "  [bold]chosen[/bold]" if tried == result["config"]["adjust"] else ""
        console.print(f"tau {tried:.1f}: {select} on val {100 * score:.1f}{best}", highlight=False)
    for split in ("val", "test"):
        if split in result:
            shown = (result[split], result["classes"], result["groups"], split, result["unit"])
            console.print(score_table(*shown))
    if result["config"]["adjust"]:
        console.print(folder_line("adjusted weights and results are in ", out))
    else:
        console.print(folder_line("tau 0 is best: the network in ", out, " is unchanged"))
