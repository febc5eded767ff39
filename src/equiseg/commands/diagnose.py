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

    from equiseg.diagnosis.open import OpenedDiagnosis
    from equiseg.diagnosis.result import Diagnosis

POSITIONAL = ("run", "data")
MAIN_OPTIONS = {
    "network": ("run", "baseline", "loader", "layer"),
    "data": ("data", "root", "split", "samples"),
    "results": ("out", "json"),
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
    from rich.markup import escape

    from equiseg.diagnosis.open import open_diagnosis
    from equiseg.diagnosis.result import record
    from equiseg.runs.folder_kind import Outcome, check_outcome
    from equiseg.runs.progress import tracked

    run = Path(run)
    console = Console(stderr=options.json)
    if options.out is not None:
        check_outcome(Path(options.out), Outcome.DIAGNOSIS)
    out = _folder(run, options)
    opened = open_diagnosis(run, options, partial(tracked, console=console))
    diagnoses, shown = _analysed(opened, options, console)
    name, baseline = opened.names[""], opened.names.get("baseline")
    known: dict[str, Any] = {"run": str(run), "data": opened.config.card, "split": options.split}
    known |= record(diagnoses[name])
    if baseline is not None:
        known["baseline"] = {"run": str(options.baseline)} | record(diagnoses[baseline])
    if options.json:
        print(dumps(known))
    else:
        show(diagnoses, console)
    if out is None:
        return
    from equiseg.report.diagnosis.page import report_run
    from equiseg.report.examples.networks import example_illustration
    from equiseg.runs.folder_kind import mark_outcome

    diagnosis = diagnoses[name]
    branch = "as in training" if opened.branches[""] else "with default arguments"
    mark_outcome(out, Outcome.DIAGNOSIS)
    (out / "diagnosis.json").write_text(dumps(known, indent=1), encoding="utf-8")
    title = name if baseline is None else f"{name} and {baseline}"
    kind = "images" if diagnosis.unit == "pixel" else "blocks or scans"
    page = report_run(
        out,
        f"Diagnosis of {title}",
        diagnoses,
        {opened.names[k]: n.folder for k, n in opened.networks.items() if n.folder is not None},
        example_illustration(shown, diagnosis.groups, options.samples, erring=list(shown)[-1:]),
        eyebrow=f"{Path(opened.config.card).stem}, {options.split} split, "
        f"{diagnosis.num_samples} {kind}, {len(diagnosis.classes)} classes",
        made={
            "network": str(run),
            "class frequencies": opened.origin,
            "center branch": branch,
        },
        command=command_text("diagnose", run, options),
    )
    if not options.json:
        console.print(f"page: [bold]{escape(str(page))}[/bold]")


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

    from equiseg.diagnosis.passes import diagnose as analyse
    from equiseg.runs.progress import tracked

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
                layer=options.layer,
                loss=opened.branches[key],
                batch_size=network.config.batch_size if network.config else 8,
                num_workers=options.num_workers,
                most_samples=options.samples,
                track=partial(tracked, what=f"analysing {name}", console=console),
            )
        except ValueError as error:
            if network.card is None and "fits" in str(error):
                raise ValueError(f"{error}\nname it with --layer") from error
            raise
        shown[name] = model, data
    return diagnoses, shown


def show(diagnoses: Mapping[str, Diagnosis], console: Console) -> None:
    """Print measures, groups, correlation and closest pairs."""
    from rich.markup import escape
    from rich.table import Table

    from equiseg.commands.tables import GROUP_STYLE, percent
    from equiseg.report.diagnosis.page import MEASURES
    from equiseg.report.diagnosis.wording import ledes
    from equiseg.report.wording import number

    *_, (name, diagnosis) = diagnoses.items()
    numbers = {n: d.numbers for n, d in diagnoses.items()}
    groups = diagnosis.group_numbers
    of = f"; {', '.join(groups)} of {name}" if len(numbers) > 1 else ""
    table = Table(
        title="neural collapse [dim](0 at collapse, but for cosine, margin and agreement"
        f"{escape(of)})[/dim]"
    )
    table.add_column("")
    for column in numbers:
        table.add_column(escape(column), justify="right", style="bold" if column == name else None)
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
    pairs = Table(title=f"{escape(name)}: classes whose centers lie closest")
    pairs.add_column("class")
    pairs.add_column("and")
    pairs.add_column("cosine", justify="right")
    pairs.add_column("first as second", justify="right")
    pairs.add_column("second as first", justify="right")
    for first, second, cosine, *mistaken in diagnosis.pairs[:8]:
        classes = (escape(diagnosis.classes[k]) for k in (first, second))
        shares = (f"{percent(share)} %" for share in mistaken)
        pairs.add_row(*classes, number(cosine, 1, 2), *shares)
    console.print(pairs)
    for line in ledes(diagnoses):
        console.print(line, highlight=False, markup=False)
