"""equiseg diagnose."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from equiseg.commands.tables import GROUP_STYLE, percent
from equiseg.data.errors import DataError
from equiseg.runs.progress import tracked

if TYPE_CHECKING:
    from equiseg.data.config import DataConfig
    from equiseg.diagnosis.networks import TrainedNetwork
    from equiseg.diagnosis.result import Diagnosis
    from equiseg.imbalance import ClassStatistics, FrequencyGroups


def diagnose(
    run: Path,
    data: str | None = None,
    split: str = "test",
    root: str | None = None,
    loader: str | None = None,
    layer: str | None = None,
    baseline: Path | None = None,
    out: Path | None = None,
    samples: int | None = None,
    num_workers: int = 0,
    json: bool = False,
) -> None:
    """Look into a trained network: how its classes lie, and which of them training hears.

    Measures neural collapse of features and classifier, the angle between every two classes, how
    accuracy goes with frequency, which classes lie closest and are taken for each other, and the
    gradient that each class gets from the pixel loss and from the center branch. Writes a page
    with figures.

    RUN is the folder of a run or its model.safetensors. With --loader it may be any checkpoint:
    the function is given the path and returns a torch.nn.Module that makes logits (B, K, h, w) of
    RGB images (B, 3, H, W) in [0, 1], so that it also normalises as its training did.

    Args:
        run: What to look into.
        data: Name of a card that comes with equiseg, path of a card (.yaml), "pictures" or
            "scans"; those of the run if not said otherwise.
        split: The split to look at.
        root: Folder of the data; overrides that of the run and of the card.
        loader: "file.py:function" or "package.module:function" that loads the checkpoint.
        layer: Dotted name of the layer that makes the logits, where it cannot be found by its
            number of outputs.
        baseline: Another run or checkpoint of the same classes, shown beside.
        out: Folder for diagnosis.json, figures and report.html; RUN/diagnosis for the folder of a
            run.
        samples: Look at so many images or blocks, spread evenly over the split; all if not said
            otherwise.
        num_workers: Processes that load data.
        json: Print what diagnosis.json holds and nothing else; writes files only with --out.
    """
    import torch

    from equiseg.diagnosis.networks import is_run, open_network
    from equiseg.diagnosis.passes import diagnose as look_into
    from equiseg.diagnosis.result import record
    from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome

    console = Console(stderr=json)
    if out is not None:
        check_outcome(out, Outcome.DIAGNOSIS)
    networks = {"": open_network(run, loader)}
    if out is None and not json:
        if not run.is_dir() or loader is not None:
            raise ValueError(
                f"out must name a folder for the page, as {run} is not that of a run; add --out "
                "FOLDER"
            )
        out = run / "diagnosis"
    if baseline is not None:
        theirs = open_network(baseline, None if is_run(baseline) else loader)
        networks = {"baseline": theirs} | networks
    names = {key: network.name for key, network in networks.items()}
    if len(set(names.values())) < len(names):  # two seeds of one variant
        names = {"baseline": str(baseline), "": str(run)}
    config = _data_config(networks[""], data, root)
    statistics, origin = _statistics(networks[""], config, split, num_workers, console)
    branches = {key: network.center_branch() for key, network in networks.items()}
    diagnoses: dict[str, Diagnosis] = {}
    shown: dict[str, tuple[Any, Any]] = {}
    for key, network in networks.items():
        # A network reads the same data at the size it was trained with.
        given = config if key == "" else replace(config, size=_size(network, config))
        opened = _opened(network, given, split)
        groups = network.card.groups if network.card else _groups(opened, statistics)
        model = network.model.to("cuda" if torch.cuda.is_available() else "cpu")
        try:
            diagnoses[names[key]] = look_into(
                model,
                opened,
                groups=groups,
                class_counts_K=statistics.pixels_K,
                layer=layer,
                loss=branches[key],
                batch_size=network.config.batch_size if network.config else 8,
                num_workers=num_workers,
                most_samples=samples,
                track=partial(tracked, what=f"looking into {names[key]}", console=console),
            )
        except ValueError as error:
            if network.card is None and "fits" in str(error):
                raise ValueError(f"{error}\nname it with --layer") from error
            raise
        shown[names[key]] = model, opened
    diagnosis = diagnoses[names[""]]
    known = {"run": str(run), "data": config.card, "split": split} | record(diagnosis)
    if baseline is not None:
        known["baseline"] = {"run": str(baseline)} | record(diagnoses[names["baseline"]])
    if json:
        print(dumps(known))
    else:
        show(diagnoses, console)
    if out is None:
        return
    from equiseg.report.diagnosis.page import report_run
    from equiseg.report.examples.networks import example_illustration

    branch = "as in training" if branches[""] else "with default arguments"
    mark_outcome(out, Outcome.DIAGNOSIS)
    (out / "diagnosis.json").write_text(dumps(known, indent=1), encoding="utf-8")
    title = names[""] if baseline is None else f"{names['']} beside {names['baseline']}"
    kind = "images" if diagnosis.unit == "pixel" else "blocks or scans"
    page = report_run(
        out,
        f"{title}, looked into",
        diagnoses,
        {names[key]: n.folder for key, n in networks.items() if n.folder is not None},
        example_illustration(shown, diagnosis.groups, samples, erring=list(shown)[-1:]),
        eyebrow=f"{Path(config.card).stem}, {split} split, {diagnosis.num_samples} {kind}, "
        f"{len(diagnosis.classes)} classes",
        made={"network": str(run), "class frequencies": origin, "center branch": branch},
        command=f"equiseg {shlex.join(sys.argv[1:])}",
    )
    if not json:
        console.print(f"page: [bold]{page}[/bold]")


def show(diagnoses: Mapping[str, Diagnosis], console: Console) -> None:
    """Print measures, groups, correlation and closest pairs."""
    from equiseg.report.diagnosis.page import MEASURES
    from equiseg.report.diagnosis.wording import ledes
    from equiseg.report.wording import number

    *_, (name, diagnosis) = diagnoses.items()
    numbers = {n: d.numbers for n, d in diagnoses.items()}
    groups = diagnosis.group_numbers
    of = f"; {', '.join(groups)} of {name}" if len(numbers) > 1 else ""
    table = Table(
        title="neural collapse [dim](0 at collapse, but for cosine, margin and agreement"
        f"{of})[/dim]"
    )
    table.add_column("")
    for column in numbers:
        table.add_column(column, justify="right", style="bold" if column == name else None)
    for group in groups:
        table.add_column(group, justify="right", style=GROUP_STYLE[group])
    own = ("largest_cosine", "margin", "nearest_center_agreement")
    for measure in sorted(MEASURES, key=lambda m: m.removeprefix("classifier_") in own):
        if any(measure in known for known in numbers.values()):
            values = [known.get(measure) for known in (*numbers.values(), *groups.values())]
            cells = ["–" if value is None else number(value, 1, 3) for value in values]
            table.add_row(measure.replace("_", " "), *cells)
    table.add_section()
    for metric, label in (("miou", "IoU, %"), ("mean_accuracy", "accuracy, %")):
        cells = [percent(getattr(d.evaluation.score, metric)) for d in diagnoses.values()]
        kind = "" if metric == "miou" else "_accuracy"
        cells += [percent(getattr(diagnosis.evaluation.score, f"{g}{kind}")) for g in groups]
        table.add_row(label, *cells)
    for index, label in enumerate(("IoU and log frequency, Pearson r", "Spearman r")):
        cells = [number(d.correlation[index], 1, 2) for d in diagnoses.values()]
        table.add_row(label, *cells, *[""] * len(groups))
    console.print(table)
    pairs = Table(title=f"{name}: classes whose centers lie closest")
    pairs.add_column("class")
    pairs.add_column("and")
    pairs.add_column("cosine", justify="right")
    pairs.add_column("first as second", justify="right")
    pairs.add_column("second as first", justify="right")
    for first, second, cosine, *mistaken in diagnosis.pairs[:8]:
        classes = diagnosis.classes[first], diagnosis.classes[second]
        shares = (f"{percent(share)} %" for share in mistaken)
        pairs.add_row(*classes, number(cosine, 1, 2), *shares)
    console.print(pairs)
    for line in ledes(diagnoses):
        console.print(line, highlight=False)


def _data_config(network: TrainedNetwork, data: str | None, root: str | None) -> DataConfig:
    """The data to look at: those named, else those of the run."""
    from equiseg.data.config import DataConfig

    own = network.config.data if network.config else None
    if data is None:
        if own is None:
            raise ValueError(
                f"data must be named for {network.name}, which does not say what it was trained "
                'on; give a card, or "pictures" or "scans"'
            )
        return replace(own, root=root or own.root)
    named = DataConfig(card=data, root=root)
    if own is not None and own.card == named.card:
        return replace(own, root=root or own.root)
    return replace(named, size=_size(network, named))


def _size(network: TrainedNetwork, config: DataConfig) -> tuple[int, int] | None:
    """The size a network reads images at."""
    from equiseg.data.sources import find_source

    return network.card.size if network.card and find_source(config).takes_size else None


def _opened(network: TrainedNetwork, config: DataConfig, split: str) -> Any:
    """The split, after a check that the network is one of these classes."""
    from equiseg.data.images.transforms import to_tensors
    from equiseg.data.sources import find_source
    from equiseg.diagnosis.networks import check_logits

    source = find_source(config)
    opened, name = source.open(split), source.title
    if network.card is None:
        if source.reading() is not None:
            raise ValueError(f"loader is for networks of images, got the scans of {name}")
        check_logits(network, to_tensors(opened[0])[0], len(opened.classes))
        return opened
    ours, theirs = network.card.classes, tuple(opened.classes)
    if len(ours) != len(theirs):
        raise ValueError(
            f"{network.name} tells {len(ours)} classes apart, {name} has {len(theirs)}; name the "
            "data it was trained on, or leave data out"
        )
    if ours != theirs or network.card.scans != source.reading():
        raise ValueError(
            f"{name}: classes (in their order), features, voxel and block must be those that "
            f"{network.name} was trained with; take the card of its training"
        )
    return opened


def _statistics(
    network: TrainedNetwork, config: DataConfig, split: str, num_workers: int, console: Console
) -> tuple[ClassStatistics, str]:
    """Class frequencies in training, and where they come from."""
    from equiseg.data.sources import open_split
    from equiseg.data.statistics.counting import count_data

    if network.statistics is not None:
        return network.statistics, "as the run has counted them in its training split"
    try:
        counted, origin = open_split(config, "train"), "counted in the train split"
    except DataError:
        counted = open_split(config, split)
        origin = f"counted in the {split} split, as there is no train split"
    counts = count_data(
        counted,
        num_workers=num_workers,
        context=False,
        track=partial(tracked, console=console),
    )
    return counts.statistics, origin


def _groups(data: Any, statistics: ClassStatistics) -> FrequencyGroups:
    """The benchmark's own groups, or thirds by frequency."""
    from equiseg.data.sample import DataSpec
    from equiseg.training.opened_data import frequency_groups

    return frequency_groups(DataSpec.of(data), statistics.pixels_K)
