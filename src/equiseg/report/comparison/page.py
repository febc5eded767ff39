"""The report of a comparison: figures from its folder, and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import torch

from equiseg.collapse import Geometry
from equiseg.data.sample import DataSpec
from equiseg.data.sources import open_split
from equiseg.diagnosis.networks import open_network
from equiseg.diagnosis.passes import diagnose
from equiseg.imbalance import FrequencyGroups
from equiseg.records.history import history_rows
from equiseg.report.comparison.sections import write_page
from equiseg.report.diagnosis.figures import gradient_illustration
from equiseg.report.examples.networks import example_illustration
from equiseg.report.figures import (
    class_figure,
    collapse_curve_figure,
    cosine_figure,
    curve_figure,
)
from equiseg.report.reliability import comparison_reliability
from equiseg.report.style import Illustration, save_figure
from equiseg.report.wording import number
from equiseg.study.comparison import Comparison
from equiseg.training.config_file import read_config

PAGE = "report.html"
_MOST_NETWORKS = 4  # what a picture has room for
_MOST_SAMPLES = 48  # enough for centers of rare classes, few enough for seconds on a CPU


def report_comparison(out: Path, comparison: Comparison, command: str) -> Path:
    """Draw what the folder of a comparison allows, and write its page.

    Writes ``out/report.html`` and ``out/figures/*``: every figure as PNG and SVG, its numbers as
    CSV. Examples and centers come from the networks of the first seed, of many methods from the
    baseline and the best on the tail; where their weights or the data cannot be read, the page says
    so and goes without.

    Args:
        out: Folder of the comparison, ``out/<variant>/seed<seed>``.
        comparison: Its results.
        command: The command that made it.

    Returns:
        The page.
    """
    folders = {n: [out / n / f"seed{s}" for s in comparison.seeds] for n in comparison.runs}
    notes = []
    figures = [_classes(comparison)]
    if (reliability := comparison_reliability(comparison)) is not None:
        figures.append(reliability)
    try:
        figures += _networks({name: folders[name][0] for name in _seen(comparison)}, comparison)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        notes.append(f"No examples and no centers are shown: {reason}")
    figures += _while_training(folders)
    for figure in figures:
        save_figure(figure, out / "figures")
    write_page(out / PAGE, _title(comparison), comparison, figures, notes, command)
    return out / PAGE


def _title(comparison: Comparison) -> str:
    others = list(comparison.runs)[1:]
    data = Path(comparison.runs[comparison.baseline][0]["config"]["data"]["card"]).stem
    if not others:
        return f"{comparison.baseline} on {data}"
    return f"{', '.join(others)} against {comparison.baseline} on {data}"


def _classes(comparison: Comparison) -> Illustration:
    """Every class, by frequency: its share, its scores, its differences."""
    rows = []
    order = [(group, k) for group, ids in comparison.groups.items() for k in ids]
    for group, k in order:
        for name in comparison.runs:
            values = comparison.class_values(name, k)
            row = {
                "class": comparison.classes[k],
                "group": group,
                f"training {comparison.unit}s": comparison.pixels[k],
                "variant": name,
                **{f"IoU seed {s}": v for s, v in zip(comparison.seeds, values, strict=True)},
            }
            if name != comparison.baseline:
                gap = comparison.class_difference(name, k)
                row["difference"] = gap.mean
                row["95 % from"] = gap.low
                row["95 % to"] = gap.high
            rows.append(row)
    first, last = (comparison.classes[order[end][1]] for end in (0, -1))
    return Illustration(
        "classes",
        "Class by class",
        class_figure(comparison),
        f"{_CLASSES} {_MARKS if len(comparison.seeds) > 1 else 'The marks are of one seed.'}",
        rows,
        f"A row for each of {len(order)} classes, from {first} to {last}: its share of the "
        f"training {comparison.unit}s, and its IoU under {' and '.join(comparison.runs)}. The "
        "same numbers stand in the table of every class.",
    )


def _while_training(folders: Mapping[str, Sequence[Path]]) -> list[Illustration]:
    """Curves over the epochs, as far as they were logged."""
    shown = []
    names = " and ".join(folders)
    curves = curve_figure(folders)
    if curves is not None:
        rows = history_rows(folders, ("loss", "val/"))
        alt = f"Lines over the epochs for {names}."
        shown.append(Illustration("curves", "While training", curves, _CURVES, rows, alt))
    collapse = collapse_curve_figure(folders)
    if collapse is not None:
        rows = history_rows(folders, ("collapse/",))
        title, alt = "Collapse while training", f"Measures over the epochs for {names}."
        shown.append(Illustration("collapse", title, collapse, _COLLAPSE, rows, alt))
    return shown


def _seen(comparison: Comparison) -> list[str]:
    """The methods whose networks are looked into: the baseline, and of many others the best."""

    def tail(name: str) -> float:
        score = mean(comparison.values(name, "tail"))
        return -math.inf if math.isnan(score) else score

    first, *others = comparison.runs
    best = sorted(others, key=tail, reverse=True)[: _MOST_NETWORKS - 1]
    return [name for name in comparison.runs if name in (first, *best)]


def _networks(folders: Mapping[str, Path], comparison: Comparison) -> list[Illustration]:
    """The figures that need the trained networks of one seed."""
    networks, diagnoses = {}, {}
    groups = FrequencyGroups.from_mapping(comparison.groups)
    for name, folder in folders.items():
        data = open_split(read_config(folder / "config.yaml").data, comparison.split)
        network = open_network(folder)
        networks[name] = network.model, data
        diagnoses[name] = diagnose(
            network.model,
            data,
            groups=groups,
            class_counts_K=torch.tensor(comparison.pixels),
            loss=network.center_branch(),
            most_samples=_MOST_SAMPLES,
        )
    spec, number = DataSpec.of(data), min(_MOST_SAMPLES, len(data))
    kind = "scans" if spec.holds_points else "images"
    where = f"first seed, {number} {kind} of the {comparison.split} split"
    if len(folders) < len(comparison.runs):
        where += f"; besides {comparison.baseline} those with the best tail"
    geometries = {name: diagnosis.measures for name, diagnosis in diagnoses.items()}
    gradients = gradient_illustration(comparison.baseline, diagnoses[comparison.baseline])
    shown = [_cosines(geometries, comparison, where), gradients]
    examples = example_illustration(networks, groups)
    return shown if examples is None else [examples, *shown]


def _cosines(
    geometries: Mapping[str, Geometry], comparison: Comparison, where: str
) -> Illustration:
    """Angles between class centers, as maps and as matrices."""
    order = [k for ids in comparison.groups.values() for k in ids]
    rows = []
    for name, geometry in geometries.items():
        for k in order:
            cosines = {
                comparison.classes[j]: round(float(geometry.cosines_KK[k, j]), 5) for j in order
            }
            rows.append({"variant": name, "class": comparison.classes[k], **cosines})
    distances = ", ".join(
        f"{name} {number(geometry.maximal_separation, 1, 3)}"
        for name, geometry in geometries.items()
    )
    return Illustration(
        "cosines",
        "Angles between class centers",
        cosine_figure(geometries, comparison.classes, comparison.groups),
        _COSINES.format(where),
        rows,
        f"A square of cosines for each variant. Mean distance from the simplex: {distances}.",
    )


_CLASSES = "Classes from the most to the least frequent in training, the tail shaded most."
_MARKS = (
    "Large marks are means over seeds, small dots single seeds, bars 95 % intervals of the paired "
    "difference; a bar that meets the border goes on beyond it."
)
_COSINES = (
    "Cosines between the centered class centers of the last features, most frequent class first "
    "({}). White is the simplex, red closer to each other, blue farther apart, grey a class with "
    "itself or one these images lack; lines part head, common and tail."
)
_CURVES = (
    "Thin lines are seeds, thick lines their mean up to the last epoch all of them reached. Losses "
    "are means over an epoch of augmented training images, scores are of the validation split."
)
_COLLAPSE = (
    "How far the validation features are from neural collapse; each measure is 0 when it is "
    "complete. Equiangularity is the spread of the cosines between class centers, or between rows "
    "of the classifier."
)
