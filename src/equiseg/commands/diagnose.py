"""equiseg diagnose."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiseg.commands.command_text import command_text
from equiseg.diagnosis.options import DiagnoseOptions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from equiseg.diagnosis.open_diagnosis import OpenedDiagnosis
    from equiseg.diagnosis.result import Diagnosis
    from equiseg.records.diagnosis import DiagnosisRecord

POSITIONAL = ("run", "data")
MAIN_OPTIONS = {
    "network": ("run", "baseline", "loader", "layer"),
    "data": ("data", "root", "split", "samples"),
    "results": ("out", "json"),
    "run": ("threads",),
}


def diagnose(
    run: Path,
    options: DiagnoseOptions = DiagnoseOptions(),  # noqa: B008 - frozen
) -> None:
    """Analyse a trained network: class geometry, confusions, gradient per class.

    Measures neural collapse of features and classifier, the angle between every two classes, the
    correlation of accuracy with frequency, the closest classes and their confusions, and the
    gradient of each class from the pixel loss and from the center branch. Writes a page with
    figures.

    RUN is the folder of a run or its model.safetensors. With --loader it may be any checkpoint:
    the function is given the path and returns a torch.nn.Module that makes logits (B, K, h, w) of
    RGB images (B, 3, H, W) in [0, 1], so that it also normalises as its training did.

    Args:
        run: The network to analyse.
        options: The data, and where the results go.

    Raises:
        ValueError: If there is no network, or it does not fit the data.
        DataError: If the data cannot be used.
    """
    from rich.console import Console

    from equiseg.commands.draw_page import draw_page
    from equiseg.diagnosis.example_panels import example_panels
    from equiseg.diagnosis.open_diagnosis import open_diagnosis
    from equiseg.diagnosis.result import record
    from equiseg.records.diagnosis import DIAGNOSIS, DiagnosisRecord
    from equiseg.records.examples import EXAMPLES
    from equiseg.records.record_files import write_record
    from equiseg.runs.folder_kind import Outcome, check_outcome, mark_outcome
    from equiseg.runs.progress_bar import tracked
    from equiseg.runs.terminal import folder_line
    from equiseg.runs.threads import use_threads

    use_threads(options.threads)
    run = Path(run)
    console = Console(stderr=options.json)
    if options.out is not None:
        check_outcome(Path(options.out), Outcome.DIAGNOSIS)
    out = _folder(run, options)
    opened = open_diagnosis(run, options, partial(tracked, console=console))
    diagnoses, shown = _analysed(opened, options, console)
    records = {name: record(found) for name, found in diagnoses.items()}
    name, baseline = opened.names[""], opened.names.get("baseline")
    known: dict[str, Any] = {"run": str(run), "data": opened.config.card, "split": options.split}
    known |= records[name]
    known["name"] = name
    if baseline is not None:
        known["baseline"] = {"run": str(options.baseline), "name": baseline} | records[baseline]
    if options.json:
        print(dumps(known))
    else:
        show({name: DiagnosisRecord.of(values) for name, values in records.items()}, console)
    if out is None:
        return
    mark_outcome(out, Outcome.DIAGNOSIS)
    write_record(out / DIAGNOSIS, "diagnosis", known | _making(run, opened, options))
    (out / EXAMPLES).unlink(missing_ok=True)
    panels = example_panels(shown, diagnoses[name].groups, options.samples, list(shown)[-1:])
    if panels is not None:
        panels.save(out / EXAMPLES)
    page = draw_page(out)
    if not options.json:
        console.print(folder_line("page: ", page))


def _making(run: Path, opened: OpenedDiagnosis, options: DiagnoseOptions) -> dict[str, Any]:
    """The names, the origin and the learning curves that the page shows."""
    from equiseg.data.title import data_title
    from equiseg.records.history import read_histories
    from equiseg.records.json_values import without_nan

    branch = "as in training" if opened.branches[""] else "with default arguments"
    folders = {
        opened.names[key]: [network.folder]
        for key, network in opened.networks.items()
        if network.folder is not None
    }
    return {
        "data_name": data_title(opened.config.card, opened.config.root),
        "made": {
            "network": str(run),
            "class frequencies": opened.origin,
            "center branch": branch,
        },
        "command": command_text("diagnose", run, options),
        "curves": without_nan(read_histories(folders)),
    }


def _folder(run: Path, options: DiagnoseOptions) -> Path | None:
    """Where the page goes; None writes none."""
    if options.out is not None:
        return Path(options.out)
    if options.json:
        return None
    if run.exists() and (not run.is_dir() or options.loader is not None):
        raise ValueError(
            f"out must name a folder for the page, as {run} is not the folder of a run; add --out "
            "FOLDER"
        )
    return run / "diagnosis"


def _analysed(
    opened: OpenedDiagnosis, options: DiagnoseOptions, console: Console
) -> tuple[dict[str, Diagnosis], dict[str, tuple[Any, Any]]]:
    """The diagnosis of each network, and each network with its data, by their names."""
    import torch

    from equiseg.diagnosis.measure_network import Passes
    from equiseg.diagnosis.measure_network import diagnose as analyse
    from equiseg.runs.progress_bar import tracked

    diagnoses: dict[str, Diagnosis] = {}
    shown: dict[str, tuple[Any, Any]] = {}
    for key, network in opened.networks.items():
        name = opened.names[key]
        data, groups = opened.data(key)
        model = network.model.to("cuda" if torch.cuda.is_available() else "cpu")
        try:
            diagnoses[name] = analyse(
                model,
                data,
                groups=groups,
                class_counts_K=opened.statistics.pixels_K,
                passes=Passes(
                    layer=options.layer,
                    loss=opened.branches[key],
                    batch_size=network.config.batch_size if network.config else 8,
                    num_workers=options.num_workers,
                    most_samples=options.samples,
                    track=partial(tracked, what=f"analysing {name}", console=console),
                ),
            )
        except ValueError as error:
            if network.card is None and "fits" in str(error):
                raise ValueError(f"{error}\nname it with --layer") from error
            raise
        shown[name] = model, data
    return diagnoses, shown


def show(networks: Mapping[str, DiagnosisRecord], console: Console) -> None:
    """Print measures, groups, correlation, closest pairs, confusions and findings.

    Args:
        networks: The record of each network, the analysed one last.
        console: Where to print.
    """
    from equiseg.report.diagnosis.wording import ledes, rare_confusions
    from equiseg.runs.terminal import as_is

    console.print(_measure_table(networks))
    *_, (name, record) = networks.items()
    console.print(_pair_table(name, record))
    for line in (*rare_confusions(record, ("tail",)), *ledes(networks)):
        console.print(as_is(line), highlight=False)


def _measure_table(networks: Mapping[str, DiagnosisRecord]) -> Table:
    """Collapse measures, scores and correlations; a column for each network and group."""
    from rich.table import Table

    from equiseg.commands.tables import GROUP_STYLE, percent
    from equiseg.metrics.catalogue import MEASURES
    from equiseg.report.wording import number
    from equiseg.runs.terminal import as_is

    *_, (name, record) = networks.items()
    numbers = {n: d.numbers for n, d in networks.items()}
    groups = record.group_numbers
    of = f"; {', '.join(groups)} of {name}" if len(numbers) > 1 else ""
    title = as_is(f"neural collapse (0 at collapse, but for cosine, margin and agreement{of})")
    table = Table(title=title)
    table.add_column("")
    for column in numbers:
        table.add_column(as_is(column), justify="right", style="bold" if column == name else None)
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
        cells = [percent(d.scores[metric]) for d in networks.values()]
        kind = "" if metric == "miou" else "_accuracy"
        cells += [percent(record.scores[f"{g}{kind}"]) for g in groups]
        table.add_row(label, *cells)
    correlations = {"pearson": "IoU and log frequency, Pearson r", "spearman": "Spearman r"}
    for kind, label in correlations.items():
        cells = [number(d.correlation[kind], 1, 2) for d in networks.values()]
        table.add_row(label, *cells, *[""] * len(groups))
    return table


def _pair_table(name: str, record: DiagnosisRecord) -> Table:
    """The closest pairs of classes and their confusions."""
    from rich.table import Table

    from equiseg.commands.tables import percent
    from equiseg.report.wording import number
    from equiseg.runs.terminal import as_is

    pairs = Table(title=as_is(f"{name}: classes with the closest centers"))
    pairs.add_column("class")
    pairs.add_column("and")
    for column in ("cosine", "first as second", "second as first"):
        pairs.add_column(column, justify="right")
    for first, second, cosine, *mistaken in record.pairs[:8]:
        classes = (as_is(record.classes[k]) for k in (first, second))
        shares = (f"{percent(share)} %" for share in mistaken)
        pairs.add_row(*classes, number(cosine, 1, 2), *shares)
    return pairs
