"""Bars of every class: one a network, in the order of frequency."""

import math

import pytest

from diagnoses import tiny_record
from equiseg.report.diagnosis.class_bars import class_bar_figure, class_illustration


@pytest.fixture(scope="module")
def diagnoses():
    return {"before": tiny_record(seed=1), "after": tiny_record()}


def test_a_bar_for_every_class_and_network(diagnoses):
    figure = class_bar_figure(diagnoses)
    (axes,) = figure.axes
    *_, last = diagnoses.values()
    assert len(axes.patches) == len(diagnoses) * len(last.classes)
    order = [k for ids in last.groups.values() for k in ids]
    assert [text.get_text() for text in axes.get_yticklabels()] == [last.classes[k] for k in order]
    theirs = axes.patches[-len(order) :]
    for bar, k in zip(theirs, order, strict=True):
        iou = float(last.iou_K[k])
        assert abs(bar.get_width() - (0 if math.isnan(iou) else 100 * iou)) < 1e-6


def test_the_numbers_are_behind_the_bars(diagnoses):
    shown = class_illustration(diagnoses)
    *_, last = diagnoses.values()
    assert [row["class"] for row in shown.numbers] == [
        last.classes[k] for ids in last.groups.values() for k in ids
    ]
    assert {f"IoU {n}" for n in diagnoses} <= set(shown.numbers[0])
