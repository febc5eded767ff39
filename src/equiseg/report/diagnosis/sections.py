"""The tables of the page of a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from equiseg.metrics.catalogue import COMPARED, MEASURES, SCORES
from equiseg.records.diagnosis import DiagnosisRecord
from equiseg.report.diagnosis.wording import rare_confusions
from equiseg.report.html import Cell, Html, Row, bullets, section, table
from equiseg.report.wording import NONE, count, number

Networks = Mapping[str, DiagnosisRecord]
_PREDICTED = ("first as second", "second as first")
_MOST_CONFUSIONS = 12


def score_section(networks: Networks) -> Html:
    """Every score that all networks have."""
    *_, last = networks.values()
    rows: list[Row] = []
    for name in COMPARED:
        if not all(name in record.scores for record in networks.values()):
            continue
        values = [record.scores[name] for record in networks.values()]
        covered = last.scores.get(f"num_{'iou' if name == 'miou' else name}")
        note = "" if covered is None else f"mean of {count(int(covered), 'class')}"
        note = "less is better" if SCORES[name].less_is_better else note
        head = Cell(SCORES[name].label.format(unit=last.unit), note=note)
        rows.append([head, *(Cell(number(v), v) for v in values), *_gap(values, 100, 1)])
    caption = "Percent; head, common and tail by frequency in training."
    return section("Scores", caption, table(["", *networks, *_gap_head(networks)], rows))


def confusion_section(name: str, record: DiagnosisRecord) -> Html:
    """The rarest classes in words: the share that was found, and the wrong predictions."""
    lines = rare_confusions(record)
    caption = (
        f"Predictions of {name} for the labelled {record.unit}s of its rarest classes, the rarest "
        "first; shares below 1 % are left out."
    )
    return section("Confusions of rare classes", caption, bullets(lines[:_MOST_CONFUSIONS]))


def measure_sections(networks: Networks) -> list[Html]:
    """Collapse measures of all classes, and of the last network's groups."""
    *_, name = networks
    groups = {g: n for g, n in networks[name].group_numbers.items() if n["num_present"] > 1}
    rows: list[Row] = []
    of_groups: list[Row] = []
    for measure, known in MEASURES.items():
        if all(measure not in record.numbers for record in networks.values()):
            continue  # a network without a classifier row
        values = [record.numbers.get(measure, math.nan) for record in networks.values()]
        cells = [Cell(number(v, 1, 3), v) for v in values]
        said = Cell(f"{known.sentence[:-1]} ({known.source}).", mark="note")
        rows.append([known.label, *cells, *_gap(values, 1, 3), said])
        by_group = [numbers.get(measure, math.nan) for numbers in groups.values()]
        if not all(map(math.isnan, by_group)):
            of_groups.append([known.label, *(Cell(number(v, 1, 3), v) for v in by_group)])
    caption = (
        "Distance of features and classifier from a simplex, 0 at collapse unless stated "
        "otherwise. Measures describe the features; they are not scores."
    )
    heads = ["measure", *networks, *_gap_head(networks), ""]
    parts = [section("Neural collapse", caption, table(heads, rows))]
    if of_groups:
        caption = (
            f"The same measures of {name} among the classes of each group; the mean of the centers "
            "and the ideal are over all classes."
        )
        body = table(["measure", *groups], of_groups)
        parts.append(section("Head, common and tail", caption, body))
    return parts


def pair_section(name: str, record: DiagnosisRecord) -> Html:
    """The classes whose centers lie closest."""
    group_of = {k: group for group, ids in record.groups.items() for k in ids}
    rows = []
    for first, second, cosine, *shares in record.pairs:
        groups = dict.fromkeys(group_of[k] for k in (first, second) if k in group_of)
        names = f"{record.classes[first]} and {record.classes[second]}"
        rows.append(
            [
                Cell(names, note=", ".join(groups)),
                Cell(number(cosine, 1, 3), cosine),
                *(Cell(f"{number(share)} %", share) for share in shares),
            ]
        )
    caption = (
        f"Classes of {name} with the closest centers, and the share of the labels of each that was "
        "predicted as the other."
    )
    return section("Closest pairs", caption, table(["", "cosine", *_PREDICTED], rows))


def class_section(networks: Networks) -> Html:
    """IoU and accuracy of every class."""
    *_, name = networks
    last = networks[name]
    total = max(1, int(last.class_counts_K.sum()))
    rows: list[Row] = []
    starts: list[int] = []
    for group, ids in last.groups.items():
        starts.append(len(rows))
        for k in ids:
            share = float(last.class_counts_K[k]) / total
            digits = ".1f" if share >= 0.01 else ".2g"
            ious = [float(record.iou_K[k]) for record in networks.values()]
            accuracy = float(last.accuracy_K[k])
            rows.append(
                [
                    Cell(last.classes[k], note=group),
                    Cell(f"{100 * share:{digits}} %" if share else NONE, share),
                    *(Cell(number(iou), iou) for iou in ious),
                    *_gap(ious, 100, 1),
                    Cell(number(accuracy), accuracy),
                ]
            )
    heads = ["class", f"training {last.unit}s"]
    heads += [f"IoU {other}" for other in networks] + _gap_head(networks)
    heads += [f"accuracy {name}" if len(networks) > 1 else "accuracy"]
    caption = "Percent, most frequent class first."
    return section("Every class", caption, table(heads, rows, starts=starts[1:]))


def _gap(values: Sequence[float], scale: float, digits: int) -> list[Cell]:
    """The difference from the baseline, if there is one."""
    if len(values) < 2:
        return []
    gap = values[-1] - values[0]
    return [Cell(number(gap, scale, digits, sign=True), gap)]


def _gap_head(networks: Networks) -> list[str]:
    return ["difference"] if len(networks) > 1 else []
