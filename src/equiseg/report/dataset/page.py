"""The page of a data set, and the files beside it."""

from __future__ import annotations

from pathlib import Path

from equiseg.data.statistics.profile import DataProfile
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
from equiseg.runs.provenance import provenance

PAGE = "report.html"
# What the numbers of the context mean, and how many digits they need.
_CONTEXT = {
    "neighbour_correlation": "Correlation of the classes of neighbours: 1 for large regions, 0 "
    "for classes strewn at random (Newman 2003).",
    "entropy": "Bits of a class.",
    "conditional_entropy": "Bits of a class that are left once a neighbour's class is known.",
    "border_entropy": "Bits of a class next to another one.",
    "border_conditional_entropy": "Bits of it that are left once that other class is known.",
}


def report_data(out: Path, profile: DataProfile, command: str) -> Path:
    """Write a data set's page, figures and numbers.

    Writes ``out/report.html``, ``statistics.json`` (all counts), ``classes.csv`` and
    ``figures/*`` (PNG, SVG and the numbers as CSV).

    Args:
        out: Folder, made where it does not exist.
        profile: What was counted.
        command: The command that counted it.

    Returns:
        The page.
    """
    out.mkdir(parents=True, exist_ok=True)
    profile.save(out / "statistics.json")
    profile.table().write_csv(out / "classes.csv")
    figures = data_illustrations(profile)
    for figure in figures:
        save_figure(figure, out / "figures")
    samples = f"{profile.statistics.num_images:,} {profile.sample}s"
    page = document(
        f"Classes of {profile.title}",
        [
            _levels(profile),
            figure_section(figures[0]),
            _classes(profile),
            *([_context(profile)] if profile.counts.context is not None else []),
            *map(figure_section, figures[1:]),
            _making(profile, command),
        ],
        eyebrow=", ".join(
            text
            for text in (
                f"{profile.split} split" if profile.split else "",
                samples,
                count(len(profile.classes), "class"),
            )
            if text
        ),
        ledes=ledes(profile),
        caution=" ".join(caveats(profile)),
    )
    (out / PAGE).write_text(page, encoding="utf-8")
    return out / PAGE


def _levels(profile: DataProfile) -> Html:
    present = len(profile.classes) - len(profile.absent)
    rows: list[Row] = [
        [
            level.name,
            Cell(factor(level.imbalance_factor), level.imbalance_factor),
            Cell(number(level.gini, 1, 2), level.gini),
            Cell(number(level.effective_num_classes, 1), level.effective_num_classes),
        ]
        for level in profile.levels
    ]
    heads = ["counted in", "commonest : rarest", "Gini", f"effective classes of {present}"]
    caption = (
        f"A loss over pixels sees the first row, one over class centers the last: the centers to "
        f"be expected in a batch of {profile.batch_size} {profile.sample}s. Gini is 0 for balanced "
        "classes and nears 1 as one holds everything; the effective number is that of equally "
        "frequent classes with the same entropy."
    ).replace("pixels", f"{profile.unit}s")
    return section("Imbalance", caption, table(heads, rows))


def _classes(profile: DataProfile) -> Html:
    levels = [level.name for level in profile.levels]
    rows: list[Row] = []
    starts: list[int] = []
    group = "head"
    for entry in profile.class_rows():
        if entry["group"] != group:
            starts.append(len(rows))
            group = entry["group"]
        counts = [
            Cell(f"{entry[n]:.3f}" if n == "centers" else f"{entry[n]:,}", entry[n]) for n in levels
        ]
        named = Cell(entry["name"], note=group)
        rows.append([named, Cell(share(entry["share"]), entry["share"]), *counts])
    heads = ["class", f"share of {profile.unit}s", *levels]
    caption = "Most frequent class first."
    if profile.regions_K is not None:
        touching = "the sides of pixels" if profile.voxel_size is None else "the faces of voxels"
        caption += f" Regions hang together by {touching}."
    return section("Every class", caption, table(heads, rows, starts=starts, dense=len(heads) > 6))


def _context(profile: DataProfile) -> Html:
    numbers = profile.context_numbers()
    rows: list[Row] = [
        [
            name.replace("_", " "),
            Cell(number(numbers[name], 1, 3), numbers[name]),
            Cell(m, mark="note"),
        ]
        for name, m in _CONTEXT.items()
    ]
    caption = "What the neighbours of a {} tell of its class.".format(
        profile.unit if profile.voxel_size is None else "voxel"
    )
    return section("Context", caption, table(["measure", "value", ""], rows))


def _making(profile: DataProfile, command: str) -> Html:
    made = {"sizes": size_text(profile) or NONE} | provenance()
    return section("How it was made", "", command_block(command), facts(made))
