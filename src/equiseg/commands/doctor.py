"""equiseg doctor."""

from __future__ import annotations

import dataclasses
from functools import partial
from json import dumps
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from equiseg.runs.progress import tracked

_STYLE = {"error": "bold red", "warning": "yellow", "hint": "blue"}


def doctor(
    data: str,
    root: str | None = None,
    model: str | None = None,
    batch_size: int = 8,
    min_count: int = 1,
    min_images: int = 10,
    num_workers: int = 0,
    json: bool = False,
) -> None:
    """Say what will go wrong in training with a data set, and what mends it.

    Reads every image or scan once. Errors stop training or make its scores worthless: with any,
    the exit status is 1. Warnings and hints let it run.

    Args:
        data: Name of a card that comes with equiseg, path of a card (.yaml), or the built-in
            "pictures" or "scans".
        root: Folder of the data; overrides the card's own.
        model: The network to train; as model.name of training.
        batch_size: Images or blocks a step.
        min_count: Pixels a class needs in a batch, as of center_collapse in training.
        min_images: Classes in fewer training images are called rare.
        num_workers: Worker processes that read.
        json: Print findings as JSON, for machines.
    """
    from equiseg.data.config import DataConfig
    from equiseg.data.doctor import SEVERITIES, by_severity, examine, open_splits
    from equiseg.data.sources import find_source

    console = Console()
    shown = partial(tracked, console=Console(stderr=True))
    splits, findings = open_splits(find_source(DataConfig(card=data, root=root)), shown)
    if splits:
        findings = by_severity(
            findings
            + examine(
                splits,
                batch_size=batch_size,
                min_count=min_count,
                min_images=min_images,
                dim=_features(model, next(iter(splits.values()))),
                num_workers=num_workers,
                track=shown,
            )
        )
    if json:
        print(dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        table = Table.grid(padding=(0, 1))
        for finding in findings:
            said = Text.assemble((finding.subject, "bold"), ": ", finding.seen)
            table.add_row(Text(finding.severity, _STYLE[finding.severity]), said)
            table.add_row("", Text(f"→ {finding.advice}", "dim"))
        console.print(table)
        counts = {s: sum(finding.severity == s for finding in findings) for s in SEVERITIES}
        total = ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items() if n)
        console.print(f"{data}: {total or 'nothing that could go wrong was found'}")
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def _features(model: str | None, data: Any) -> int:
    """Channels before the classifier of the network that training would build."""
    import torch

    from equiseg.data.sample import DataSpec
    from equiseg.models import rebuild_model
    from equiseg.tap import FeatureTap
    from equiseg.training.config import ModelConfig
    from equiseg.training.task import model_name

    spec = DataSpec.of(data)
    name = model_name(ModelConfig(name=model), spec)
    with torch.device("meta"):  # its shapes are enough: no weights are made or read
        network: Any = rebuild_model(name, len(spec.classes))
    return FeatureTap(network, layer=network.classifier_name).in_features
