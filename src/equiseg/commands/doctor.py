"""equiseg doctor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any

from equiseg.commands.early_checks import check_card_path

if TYPE_CHECKING:
    from equiseg.data.doctor import Finding

POSITIONAL = ("data",)
MAIN_OPTIONS = {
    "data": ("data", "root"),
    "training": ("model", "batch_size", "min_count", "min_images"),
    "run": ("num_workers", "threads", "json"),
}
_STYLE = {"error": "bold red", "warning": "yellow", "hint": "blue"}


@dataclass(frozen=True)
class DoctorOptions:
    """How the data will be trained on.

    Attributes:
        root: The folder of the data; overrides the card's own.
        model: The network to train; as model.name of training.
        batch_size: Images or blocks per step.
        min_count: Pixels a class needs in a batch to have a center; as of center_collapse.
        min_images: Classes in fewer training images are called rare.
        num_workers: Worker processes that read; 0 reads in this one.
        json: Print the findings as JSON and nothing else.
        threads: CPU threads. None takes all cores.
    """

    root: str | None = None
    model: str | None = None
    batch_size: int = 8
    min_count: int = 1
    min_images: int = 10
    num_workers: int = 0
    json: bool = False
    threads: int | None = None


def doctor(data: str, options: DoctorOptions = DoctorOptions()) -> None:
    """Find the problems of a data set before training does, and how to fix them.

    Reads every image or scan once, and the next time only those that have changed. Errors stop
    training or make its scores worthless: with any, the exit status is 1. Warnings and hints do not
    stop it.

    Args:
        data: The name of a card, the path of a card (.yaml), the built-in "pictures" or "scans",
            or a class of your own (my_module.MyData).
        options: How the data will be trained on.

    Raises:
        DataError: If there are no such data.
        SystemExit: With status 1, if an error was found.
    """
    check_card_path(data)
    from rich.console import Console

    from equiseg.data.config import DataConfig
    from equiseg.data.doctor import PlannedTraining, by_severity, examine, open_splits
    from equiseg.data.sources import find_source
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.threads import use_threads

    use_threads(options.threads)
    shown = partial(tracked, console=Console(stderr=True))
    config = DataConfig(card=data, root=options.root, num_workers=options.num_workers)
    source = find_source(config)
    splits, findings = open_splits(source, shown)
    if splits:
        planned = PlannedTraining(
            options.batch_size,
            options.min_count,
            options.min_images,
            dim=_features(options.model, next(iter(splits.values()))),
        )
        findings = by_severity(
            findings
            + examine(
                splits,
                planned,
                num_workers=options.num_workers,
                track=shown,
            )
        )
    if options.json:
        print(dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        show(data, findings)
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def show(data: str, findings: Sequence[Finding]) -> None:
    """Print each finding with its advice, and how many there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from equiseg.data.doctor import SEVERITIES
    from equiseg.runs.terminal import as_is

    console = Console()
    table = Table.grid(padding=(0, 1))
    for finding in findings:
        said = Text.assemble(as_is(finding.subject, "bold"), ": ", as_is(finding.seen))
        table.add_row(Text(finding.severity, _STYLE[finding.severity]), said)
        table.add_row("", as_is(f"→ {finding.advice}", "dim"))
    console.print(table)
    counts = {s: sum(finding.severity == s for finding in findings) for s in SEVERITIES}
    total = ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items() if n)
    console.print(as_is(f"{data}: {total or 'no problem was found'}"))


def _features(model: str | None, data: Any) -> int:
    """Channels before the classifier of the network that training would build."""
    import torch

    from equiseg.data.sample import DataSpec
    from equiseg.models import rebuild_model
    from equiseg.models.build import is_own_model
    from equiseg.tap import FeatureTap
    from equiseg.training.config import ModelConfig
    from equiseg.training.model_name import model_name

    spec = DataSpec.of(data)
    name = model_name(ModelConfig(name=model), spec)
    with torch.device("meta"):  # its shapes are enough: no weights are made or read
        known = {"in_channels": len(spec.channels)} if is_own_model(name) else None
        network: Any = rebuild_model(name, len(spec.classes), known)
    return FeatureTap(network, layer=network.classifier_name).in_features
