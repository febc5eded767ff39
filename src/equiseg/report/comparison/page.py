"""The page of a comparison, and of a single run: its figures, and the files next to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from equiseg.records.diagnosis import DiagnosisRecord, NetworksRecord
from equiseg.records.examples import ExamplePanels
from equiseg.records.history import Histories
from equiseg.report.comparison.figures import class_figure, narrow_class_figure
from equiseg.report.comparison.sections import write_page
from equiseg.report.cosines import CosineMap, cosine_illustration
from equiseg.report.curves import training_illustrations
from equiseg.report.diagnosis.gradients import gradient_illustration
from equiseg.report.examples.panels import example_illustration
from equiseg.report.reliability import comparison_reliability
from equiseg.report.style import Illustration, save_figure
from equiseg.study.comparison import Comparison

PAGE = "report.html"


def report_comparison(
    out: Path,
    comparison: Comparison,
    histories: Histories,
    networks: NetworksRecord | None = None,
    examples: ExamplePanels | None = None,
) -> Path:
    """Draw the records of a comparison, and write its page.

    Writes ``out/report.html`` and ``out/figures/*``: every figure as PNG and SVG, its numbers as
    CSV.

    Args:
        out: Folder of the page.
        comparison: The results; a run alone is a comparison of one.
        histories: Logged values of the runs; empty ones are left out.
        networks: Diagnoses of the networks of one seed; None leaves their figures out.
        examples: Example panels; None leaves them out.

    Returns:
        The page.
    """
    figures = [_classes(comparison)]
    if (reliability := comparison_reliability(comparison)) is not None:
        figures.append(reliability)
    if examples is not None:
        figures.append(example_illustration(examples))
    notes = []
    if networks is not None and networks.networks:
        figures += _networks(networks, comparison)
    if networks is not None and networks.problem:
        notes.append(f"No examples and no centers are shown: {networks.problem}")
    figures += training_illustrations(histories)
    for figure in figures:
        save_figure(figure, out / "figures")
    write_page(out / PAGE, title(comparison), comparison, figures, notes)
    return out / PAGE


def title(comparison: Comparison) -> str:
    """The compared methods, and the data."""
    first, *others = comparison.runs
    if not others:
        return f"{first} on {comparison.title}"
    return f"{', '.join(others)} against {first} on {comparison.title}"


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
        f"{_CLASSES} {_MARKS if len(comparison.seeds) > 1 else 'Each mark is one seed.'}",
        rows,
        f"A row for each of {len(order)} classes, from {first} to {last}: its share of the "
        f"training {comparison.unit}s, and its IoU with {' and '.join(comparison.runs)}. The "
        "table of every class has the same numbers.",
        narrow_class_figure(comparison),
    )


def _networks(networks: NetworksRecord, comparison: Comparison) -> list[Illustration]:
    """The figures of the trained networks of one seed."""
    found: Mapping[str, DiagnosisRecord] = networks.networks
    cosines = cosine_illustration(
        "cosines",
        "Angles between class centers",
        _COSINES.format(networks.where),
        {name: CosineMap.of_centers(record) for name, record in found.items()},
        comparison.classes,
        comparison.groups,
    )
    baseline = found[comparison.baseline]
    return [cosines, gradient_illustration(comparison.baseline, baseline)]


_CLASSES = "Most frequent class in training first; the tail has the deepest shade."
_MARKS = (
    "Large marks are means over seeds, small dots single seeds, bars 95 % intervals of the paired "
    "difference; a bar that meets the border extends beyond it."
)
_COSINES = (
    "Cosines between the centered class centers of the last features, most frequent class first "
    "({})."
)
