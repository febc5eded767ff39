"""equiseg evaluate."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from equiseg.evaluation.config import EvaluationConfig, MeasureConfig

MAIN_OPTIONS = {
    "run": ("run", "split", "root", "out", "collapse", "calibration", "threads"),
    "prediction": (
        "evaluation.flip",
        "evaluation.scales",
        "evaluation.window",
        "evaluation.stride",
        "evaluation.votes",
    ),
}


@dataclass(frozen=True)
class EvaluateOptions(MeasureConfig):
    """What is measured, and with what.

    Attributes:
        collapse: Also measure the collapse of the last-layer features; a fifth more time for a
            small network.
        calibration: Also measure the calibration error.
        threads: CPU threads. None takes all cores.
    """

    threads: int | None = None


def evaluate(
    run: Path,
    split: str = "test",
    root: str | None = None,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008 - frozen
    out: Path | None = None,
    options: EvaluateOptions = EvaluateOptions(),
) -> dict[str, Any]:
    """Score a trained network on a split of its data set.

    Args:
        run: The folder of a run.
        split: The split to score.
        root: The folder of the data, if it has moved since training.
        evaluation: How images or scans are predicted; each whole and once by default. Windows,
            mirror images and several scales cost time and usually help.
        out: File to write the scores to, as JSON.
        options: What is measured.

    Returns:
        The scores: IoU and accuracy of each class and their means, as the file holds them.

    Raises:
        ValueError: If the folder holds no finished run, or the data have other classes now.
    """
    import torch
    from rich.console import Console

    from equiseg.commands.tables import score_table
    from equiseg.data.sources import open_split
    from equiseg.evaluation.scoring import evaluate as score
    from equiseg.evaluation.scoring import evaluation_record
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.threads import use_threads
    from equiseg.runs.weights import load_weights
    from equiseg.training.config_file import read_config
    from equiseg.training.opened_data import scan_reading
    from equiseg.whole_files import replace_text

    use_threads(options.threads)
    run = Path(run)
    console = Console()
    config = read_config(run / "config.yaml")
    model, card = load_weights(run)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    given = replace(config.data, root=root or config.data.root)
    data = open_split(given, split)
    if tuple(data.classes) != card.classes or scan_reading(given) != card.scans:
        raise ValueError(
            f"{given.card}: the card has changed since this network was trained: classes (in their "
            "order), features, voxel and block must be the same; restore the old card, or train "
            "again"
        )
    result = score(
        model,
        data,
        evaluation,
        card.groups,
        measures=options,
        num_workers=config.data.num_workers,
        track=partial(tracked, what="scoring", console=console),
    )
    record = evaluation_record(result, data.background)
    unit = "point" if card.scans else "pixel"
    groups = {name: list(ids) for name, ids in card.groups}
    console.print(score_table(record, list(card.classes), groups, split, unit))
    if out is not None:
        replace_text(Path(out), json.dumps(record, indent=1))
    return record
