"""The page of a run: what its network has made of the classes, in words, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from equiseg.diagnosis.result import Diagnosis
from equiseg.report.diagnosis.class_bars import class_illustration
from equiseg.report.diagnosis.figures import (
    cosine_illustrations,
    curve_illustration,
    frequency_illustration,
    gradient_illustration,
)
from equiseg.report.diagnosis.wording import caution, ledes
from equiseg.report.html import (
    Cell,
    Html,
    Row,
    bullets,
    command_block,
    document,
    facts,
    figure_section,
    section,
    table,
)
from equiseg.report.reliability import network_reliability
from equiseg.report.style import Illustration, save_figure
from equiseg.report.wording import NONE, count, number

PAGE = "report.html"
_PAPYAN = "Papyan, Han and Donoho 2020"
# Measure: what it says, and who proposed it. All are 0 at collapse unless they say otherwise.
MEASURES = {
    "nc1_ratio": (
        "Spread of the features within classes, relative to that between them.",
        "Hui et al. 2022",
    ),
    "nc1_pinv": ("The same, direction by direction.", _PAPYAN),
    "nc1_svd": (
        "The same along the leading directions of the centers, not divided by the classes.",
        f"code of {_PAPYAN}",
    ),
    "cdnv": (
        "The same for pairs of classes: variances over the squared distance of their centers.",
        "Galanti et al. 2022",
    ),
    "equinorm": ("Spread of the lengths of the centers, relative to their mean.", _PAPYAN),
    "equiangularity": ("Spread of the cosines between centers.", _PAPYAN),
    "maximal_separation": (
        "Mean distance of these cosines from −1/(K−1), the widest apart.",
        _PAPYAN,
    ),
    "etf_error": (
        "Distance of the products of the centers from those of a simplex: lengths and angles.",
        "Zhu et al. 2021",
    ),
    "largest_cosine": ("Cosine of the closest pair of centers; −1/(K−1) at collapse.", _PAPYAN),
    "margin": (
        "Least distance of a center's direction from the hull of the others; K/(K−1) at collapse, "
        "1 at most where K > D + 1.",
        "Jiang et al. 2023",
    ),
    "self_duality": ("Squared distance of centers and classifier rows, 0 to 4.", _PAPYAN),
    "nearest_center_agreement": (
        "Share of the labelled pixels that the classifier gives to the class of the nearest "
        "center; 1 at collapse.",
        _PAPYAN,
    ),
    "classifier_equinorm": ("Spread of the lengths of the classifier's rows.", _PAPYAN),
    "classifier_equiangularity": ("Spread of the cosines between them.", _PAPYAN),
    "classifier_maximal_separation": (
        "Mean distance of these cosines from −1/(K−1).",
        _PAPYAN,
    ),
    "classifier_etf_error": ("As of the centers.", "Zhu et al. 2021"),
    "classifier_largest_cosine": ("Cosine of the closest pair of rows.", _PAPYAN),
    "classifier_margin": ("As of the centers.", "Jiang et al. 2023"),
}
_SCORES = {
    "miou": "mIoU",
    "head": "head",
    "common": "common",
    "tail": "tail",
    "mean_accuracy": "mean accuracy",
    "pixel_accuracy": "{unit} accuracy",
}


def report_run(
    out: Path,
    title: str,
    diagnoses: Mapping[str, Diagnosis],
    folders: Mapping[str, Path],
    examples: Illustration | None = None,
    *,
    eyebrow: str = "",
    made: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    command: str = "",
) -> Path:
    """Draw the figures of a diagnosis and write its page.

    Writes ``out/report.html`` and ``out/figures/*``: every figure as PNG and SVG, its numbers as
    CSV.

    Args:
        out: The folder to write to.
        title: What was diagnosed.
        diagnoses: Of the network, last, and of the one it is set beside, if any.
        folders: Folders of the runs among them, which may have logged collapse while training.
        examples: Pictures, see ``network_examples.py``.
        eyebrow: On what data.
        made: How it was made, name by name.
        notes: What a reader must know besides, one sentence or two each.
        command: How the diagnosis was made; empty leaves it out.

    Returns:
        The page.
    """
    name, diagnosis = [*diagnoses.items()][-1]
    centers, *classifier = cosine_illustrations(diagnoses)
    curves = curve_illustration(folders)
    classes, frequency = class_illustration(diagnoses), frequency_illustration(diagnoses)
    gradients = gradient_illustration(name, diagnosis)
    reliability = network_reliability(
        {name: each.evaluation.calibration for name, each in diagnoses.items()}
    )
    illustrations = [classes, reliability, centers, *classifier, curves, frequency, gradients]
    illustrations.append(examples)
    for illustration in illustrations:
        if illustration is not None:
            save_figure(illustration, out / "figures")
    parts = [
        _scores(diagnoses),
        *_figures(classes, reliability),
        *_measures(diagnoses),
        *_figures(centers, *classifier),
        _pairs(name, diagnosis),
        *_figures(curves, frequency),
        _classes(diagnoses),
        *_figures(gradients, examples),
        section("How it was made", "", command_block(command), bullets(notes), facts(made or {})),
    ]
    page = document(
        title, parts, eyebrow=eyebrow, ledes=ledes(diagnoses), caution=caution(diagnoses)
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / PAGE).write_text(page, encoding="utf-8")
    return out / PAGE


def _scores(diagnoses: Mapping[str, Diagnosis]) -> Html:
    *_, last = diagnoses.values()
    rows: list[Row] = []
    for metric, said in _SCORES.items():
        values = [getattr(d.evaluation.score, metric) for d in diagnoses.values()]
        covered = getattr(
            last.evaluation.score, f"num_{'iou' if metric == 'miou' else metric}", None
        )
        note = "" if covered is None else f"mean of {count(covered, 'class')}"
        head = Cell(said.format(unit=last.unit), note=note)
        rows.append([head, *(Cell(number(v), v) for v in values), *_gap(values, 100, 1)])
    caption = "Percent; head, common and tail by frequency in training."
    return section("Scores", caption, table(["", *diagnoses, *_gap_head(diagnoses)], rows))


def _measures(diagnoses: Mapping[str, Diagnosis]) -> list[Html]:
    *_, last = diagnoses.values()
    numbers = {name: d.numbers for name, d in diagnoses.items()}
    groups = {g: n for g, n in last.group_numbers.items() if n["num_present"] > 1}
    *_, name = diagnoses
    rows: list[Row] = []
    of_groups: list[Row] = []
    for measure, (meaning, paper) in MEASURES.items():
        if all(measure not in known for known in numbers.values()):
            continue  # a network without a classifier row
        values = [known.get(measure, math.nan) for known in numbers.values()]
        label = measure.replace("_", " ")
        cells = [Cell(number(v, 1, 3), v) for v in values]
        said = Cell(f"{meaning[:-1]} ({paper}).", mark="note")
        rows.append([label, *cells, *_gap(values, 1, 3), said])
        by_group = [known.get(measure, math.nan) for known in groups.values()]
        if not all(map(math.isnan, by_group)):
            of_groups.append([label, *(Cell(number(v, 1, 3), v) for v in by_group)])
    caption = (
        "How far features and classifier are from a simplex, 0 at collapse unless said otherwise. "
        "They describe what was learned and are no scores."
    )
    heads = ["measure", *diagnoses, *_gap_head(diagnoses), ""]
    parts = [section("Neural collapse", caption, table(heads, rows))]
    if of_groups:
        caption = (
            f"The same measures of {name} among the classes of each group; the mean of the centers "
            "and the ideal stay those of all."
        )
        body = table(["measure", *groups], of_groups)
        parts.append(section("Head, common and tail", caption, body))
    return parts


_MISTAKEN = ("first as second", "second as first")


def _pairs(name: str, diagnosis: Diagnosis) -> Html:
    group_of = {k: group for group, ids in diagnosis.groups for k in ids}
    rows = []
    for first, second, cosine, *mistaken in diagnosis.pairs:
        groups = dict.fromkeys(group_of[k] for k in (first, second) if k in group_of)
        names = f"{diagnosis.classes[first]} and {diagnosis.classes[second]}"
        rows.append(
            [
                Cell(names, note=", ".join(groups)),
                Cell(number(cosine, 1, 3), cosine),
                *(Cell(f"{number(share)} %", share) for share in mistaken),
            ]
        )
    caption = (
        f"Classes of {name} whose centers lie closest, and the share of the labels of each that "
        "was predicted as the other."
    )
    return section("Closest pairs", caption, table(["", "cosine", *_MISTAKEN], rows))


def _classes(diagnoses: Mapping[str, Diagnosis]) -> Html:
    *_, last = diagnoses.values()
    total = max(1, int(last.class_counts_K.sum()))
    rows: list[Row] = []
    starts: list[int] = []
    for group, ids in last.groups:
        starts.append(len(rows))
        for k in ids:
            share = float(last.class_counts_K[k]) / total
            digits = ".1f" if share >= 0.01 else ".2g"
            ious = [float(d.evaluation.score.iou_K[k]) for d in diagnoses.values()]
            accuracy = float(last.evaluation.score.accuracy_K[k])
            rows.append(
                [
                    Cell(last.classes[k], note=group),
                    Cell(f"{100 * share:{digits}} %" if share else NONE, share),
                    *(Cell(number(iou), iou) for iou in ious),
                    *_gap(ious, 100, 1),
                    Cell(number(accuracy), accuracy),
                ]
            )
    *_, name = diagnoses
    heads = ["class", f"training {last.unit}s"]
    heads += [f"IoU {other}" for other in diagnoses] + _gap_head(diagnoses)
    heads += [f"accuracy {name}" if len(diagnoses) > 1 else "accuracy"]
    caption = "Percent, most frequent class first."
    return section("Every class", caption, table(heads, rows, starts=starts[1:]))


def _figures(*illustrations: Illustration | None) -> list[Html]:
    return [figure_section(one) for one in illustrations if one is not None]


def _gap(values: Sequence[float], scale: float, digits: int) -> list[Cell]:
    """The difference from the network beside, if there is one."""
    if len(values) < 2:
        return []
    gap = values[-1] - values[0]
    return [Cell(number(gap, scale, digits, sign=True), gap)]


def _gap_head(diagnoses: Mapping[str, Diagnosis]) -> list[str]:
    return ["difference"] if len(diagnoses) > 1 else []
