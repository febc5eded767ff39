import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from diagnoses import Stripes, tiny_record
from equiseg.report.diagnosis.figures import (
    cosine_illustrations,
    frequency_figure,
    frequency_illustration,
)
from equiseg.report.diagnosis.gradients import gradient_illustration


@pytest.fixture(scope="module")
def diagnoses():
    return {"before": tiny_record(seed=1), "after": tiny_record()}


def test_every_group_has_its_own_mark_and_colour(diagnoses):
    axes = frequency_figure(diagnoses).axes[0]
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert len(marks) == 3
    for look in ("get_marker", "get_color"):
        assert len({getattr(line, look)() for line in marks}) == 3
    shown = sum(int((~np.isnan(line.get_ydata())).sum()) for line in marks)
    assert shown >= int((~np.isnan(diagnoses["before"].iou_K[:6])).sum())


def test_names_overlap_neither_each_other_nor_leave_the_panel():
    figure = frequency_figure({"many": tiny_record(data=Stripes(num_classes=30))})
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) > 5
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_numbers_and_caption_of_frequency(diagnoses):
    illustration = frequency_illustration(diagnoses)
    assert [row["class"] for row in illustration.numbers][:2] == ["class 0", "class 1"]
    assert set(illustration.numbers[0]) == {
        "class", "group", "training share", "IoU before", "IoU after",
    }  # fmt: skip
    assert "before: Pearson r = " in illustration.caption
    assert "not in this split: one class." in illustration.caption


def test_maps_of_centers_and_of_the_classifier(diagnoses):
    centers, classifier = cosine_illustrations(diagnoses)
    assert (centers.name, classifier.name) == ("centers", "classifier")
    titles = [axes.get_title(loc="left") for axes in centers.figure.axes[:3]]
    assert titles == ["before", "after", "ideal"]
    rows = classifier.numbers
    assert len(rows) == 2 * 7
    expected = float(diagnoses["before"].classifier_cosines_KK[0, 1])
    assert rows[0]["class 1"] == pytest.approx(expected, abs=1e-4)


def test_gradients_with_their_numbers(diagnoses):
    illustration = gradient_illustration("after", diagnoses["after"])
    assert {row["branch"] for row in illustration.numbers} == {
        "pixel cross entropy", "center branch",
    }  # fmt: skip
    assert "Gradient mass of after" in illustration.caption
