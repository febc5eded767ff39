"""The page of a study: its figures, its tables, and results.csv with a row for every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from equiseg.records.history import Histories
from equiseg.report.html import Html, document, figure_section
from equiseg.report.study.budget import (
    budget_section,
    cost_section,
    making_section,
    settings_section,
)
from equiseg.report.study.illustrations import (
    convergence_illustration,
    cost_illustration,
    decision_illustration,
    rank_illustration,
)
from equiseg.report.study.scores import score_sections
from equiseg.report.study.wording import caution_of, ledes, title
from equiseg.report.style import Illustration, csv_text, save_figure
from equiseg.report.wording import count
from equiseg.study.over_tasks import study_rows
from equiseg.study.record import Study
from equiseg.whole_files import replace_text

PAGE = "report.html"
UNNAMED_PAGE = "study.html"  # a task without a name has its own report.html in the same folder
RESULTS = "results.csv"


def save_rows(out: Path, study: Study) -> Path:
    """Write ``out/results.csv``, a row for every run that is compared."""
    path = out / RESULTS
    replace_text(path, csv_text(study_rows(study)))
    return path


def report_study(out: Path, study: Study, histories: Mapping[str, Histories]) -> Path:
    """Write the page of a study and its figures.

    Writes ``out/report.html`` (``study.html`` where the only task has no name, and so its page
    there) and ``out/figures/*``: every figure as PNG and SVG, its numbers as CSV.

    Args:
        out: Folder of the page.
        study: Its results.
        histories: Of each task the logged values of its runs; what is missing is left out.

    Returns:
        The page.
    """
    results = [decision_illustration(study), rank_illustration(study), cost_illustration(study)]
    curves = convergence_illustration(study, histories)
    for figure in (*results, curves):
        if figure is not None:
            save_figure(figure, out / "figures")
    tasks, methods = len(study.comparisons), len(study.methods)
    runs = sum(len(comparison.seeds) for comparison in study.comparisons.values()) * methods
    page = document(
        title(study),
        [
            *_shown(results),
            *score_sections(study),
            cost_section(study),
            budget_section(study),
            *_shown([curves]),
            settings_section(study),
            making_section(study),
        ],
        eyebrow=f"{count(tasks, 'task')}, {count(methods, 'method')}, {runs} runs compared",
        ledes=ledes(study),
        caution=caution_of(study),
    )
    path = out / (UNNAMED_PAGE if "." in study.comparisons else PAGE)
    replace_text(path, page)
    return path


def _shown(figures: Sequence[Illustration | None]) -> list[Html]:
    return [figure_section(figure) for figure in figures if figure is not None]
