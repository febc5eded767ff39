"""The page of a data set."""

from __future__ import annotations

from pathlib import Path

from equiseg.records.data_statistics import DataStatistics
from equiseg.report.dataset.figures import data_illustrations
from equiseg.report.dataset.wording import (
    caveats,
    factor,
    ledes,
    share,
    size_text,
)
from equiseg.report.html import (
    Cell,
    Html,
    Row,
    command_block,
    document,
    facts,
    figure_section,
    section,
    table,
)
from equiseg.report.style import save_figure
from equiseg.report.wording import NONE, count, number
from equiseg.whole_files import replace_text

PAGE = "report.html"
# The meaning of the context's numbers.
_CONTEXT = {
    "neighbour_correlation": "Correlation of the classes of neighbours: 1 for large regions, 0 "
    "for randomly scattered classes (Newman 2003).",
    "entropy": "Bits of a class.",
    "conditional_entropy": "Bits of a class that remain once a neighbour's class is known.",
    "border_entropy": "Bits of a class next to another one.",
    "border_conditional_entropy": "Bits of it that remain once the other class is known.",
}


def report_data(out: Path, data: DataStatistics) -> Path:
    """Write a data set's page and its figures.

    Writes ``out/report.html`` and ``out/figures/*`` (PNG, SVG and the numbers as CSV).

    Args:
        out: Folder, made where it does not exist.
        data: The counts.

    Returns:
        The page.
    """
    figures = data_illustrations(data)
    for figure in figures:
        save_figure(figure, out / "figures")
    split = [f"{data.split} split"] if data.split else []
    samples = f"{data.num_samples:,} {data.sample}s"
    page = document(
        f"Classes of {data.title}",
        [
            _levels(data),
            figure_section(figures[0]),
            _classes(data),
            *([_context(data)] if data.context else []),
            *map(figure_section, figures[1:]),
            _making(data),
        ],
        eyebrow=", ".join((*split, samples, count(len(data.classes), "class"))),
        ledes=ledes(data),
        caution=" ".join(caveats(data)),
    )
    replace_text(out / PAGE, page)
    return out / PAGE


def _levels(data: DataStatistics) -> Html:
    present = len(data.classes) - len(data.absent)
    rows: list[Row] = [
        [
            level.name,
            Cell(factor(level.imbalance_factor), level.imbalance_factor),
            Cell(number(level.gini, 1, 2), level.gini),
            Cell(number(level.effective_num_classes, 1), level.effective_num_classes),
        ]
        for level in data.levels
    ]
    heads = ["counted in", "most frequent : rarest", "Gini", f"effective classes of {present}"]
    caption = (
        f"A loss over pixels sees the first row, a loss over class centers the last: the centers "
        f"expected in a batch of {data.batch_size} {data.sample}s. Gini is 0 for balanced classes "
        "and approaches 1 as one class holds everything; the effective number of classes is the "
        "number of equally frequent classes with the same entropy."
    ).replace("pixels", f"{data.unit}s")
    return section("Imbalance", caption, table(heads, rows))


def _classes(data: DataStatistics) -> Html:
    levels = [level.name for level in data.levels]
    rows: list[Row] = []
    starts: list[int] = []
    group = "head"
    for entry in data.class_rows:
        if entry["group"] != group:
            starts.append(len(rows))
            group = entry["group"]
        counts = [
            Cell(number(entry[n], 1, 3) if n == "centers" else f"{entry[n]:,}", entry[n])
            for n in levels
        ]
        named = Cell(entry["name"], note=group)
        rows.append([named, Cell(share(entry["share"]), entry["share"]), *counts])
    heads = ["class", f"share of {data.unit}s", *levels]
    caption = "Most frequent class first."
    if "regions" in levels:
        touching = "the sides of pixels" if data.voxel_size is None else "the faces of voxels"
        caption += f" Regions are connected by {touching}."
    return section("Every class", caption, table(heads, rows, starts=starts, dense=len(heads) > 6))


def _context(data: DataStatistics) -> Html:
    numbers = data.context
    rows: list[Row] = [
        [
            name.replace("_", " "),
            Cell(number(numbers[name], 1, 3), numbers[name]),
            Cell(m, mark="note"),
        ]
        for name, m in _CONTEXT.items()
    ]
    unit = data.unit if data.voxel_size is None else "voxel"
    caption = f"How much the neighbours of a {unit} say about its class."
    return section("Context", caption, table(["measure", "value", ""], rows))


def _making(data: DataStatistics) -> Html:
    made = {"sizes": size_text(data) or NONE} | data.made
    return section("How it was made", "", command_block(data.command), facts(made))
