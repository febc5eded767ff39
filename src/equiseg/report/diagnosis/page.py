"""The page of a diagnosis: class geometry, confusions and gradients of a trained network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from equiseg.records.diagnosis import DiagnosisPage
from equiseg.records.examples import ExamplePanels
from equiseg.report.curves import collapse_illustration
from equiseg.report.diagnosis.class_bars import class_illustration
from equiseg.report.diagnosis.figures import cosine_illustrations, frequency_illustration
from equiseg.report.diagnosis.gradients import gradient_illustration
from equiseg.report.diagnosis.sections import (
    class_section,
    confusion_section,
    measure_sections,
    pair_section,
    score_section,
)
from equiseg.report.diagnosis.wording import caution, ledes, samples
from equiseg.report.examples.panels import example_illustration
from equiseg.report.html import Html, command_block, document, facts, figure_section, section
from equiseg.report.reliability import network_reliability
from equiseg.report.style import Illustration, save_figure
from equiseg.whole_files import replace_text

PAGE = "report.html"


def report_diagnosis(
    out: Path, known: DiagnosisPage, examples: ExamplePanels | None = None
) -> Path:
    """Draw the figures of a diagnosis and write its page.

    Writes ``out/report.html`` and ``out/figures/*``: every figure as PNG and SVG, its numbers as
    CSV.

    Args:
        out: The folder to write to.
        known: The records of the network and of its baseline.
        examples: Example panels; None leaves them out.

    Returns:
        The page.
    """
    networks = known.networks
    name, record = [*networks.items()][-1]
    classes, reliability = class_illustration(networks), network_reliability(networks)
    centers, *classifier = cosine_illustrations(networks)
    curves, frequency = collapse_illustration(known.curves), frequency_illustration(networks)
    gradients = gradient_illustration(name, record)
    panels = None if examples is None else example_illustration(examples)
    drawn = [classes, reliability, centers, *classifier, curves, frequency, gradients, panels]
    for illustration in drawn:
        if illustration is not None:
            save_figure(illustration, out / "figures")
    parts = [
        score_section(networks),
        *_figures(classes, reliability),
        confusion_section(name, record),
        *measure_sections(networks),
        *_figures(centers, *classifier),
        pair_section(name, record),
        *_figures(curves, frequency),
        class_section(networks),
        *_figures(gradients, panels),
        section("How it was made", "", command_block(known.command), facts(known.made)),
    ]
    page = document(
        f"Diagnosis of {_title(networks)}",
        parts,
        eyebrow=f"{known.data}, {known.split} split, {samples(record)}, "
        f"{len(record.classes)} classes",
        ledes=ledes(networks),
        caution=caution(networks),
    )
    replace_text(out / PAGE, page)
    return out / PAGE


def _title(names: Iterable[str]) -> str:
    *baseline, name = names
    return f"{name}, compared with {baseline[0]}" if baseline else name


def _figures(*illustrations: Illustration | None) -> list[Html]:
    return [figure_section(one) for one in illustrations if one is not None]
