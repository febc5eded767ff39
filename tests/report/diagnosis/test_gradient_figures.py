import pytest
import torch

from equiseg.collapse.gradients import BranchGradients
from equiseg.diagnosis.result import gradient_record
from equiseg.records.diagnosis import GradientRecord
from equiseg.records.json_values import without_nan
from equiseg.report.diagnosis.gradients import gradient_figure, gradient_rows
from equiseg.report.style import Illustration, inline_svg, save_figure

CLASSES = ["road", "a$b$", "pole", "never"]


def gradients(mass, error):
    """Of ten batches; the rarest class is in two of them, the last class in none."""
    counts, batches = torch.tensor([8000, 1600, 40, 0]), torch.tensor([10, 10, 2, 0])
    mass_K, error_K = torch.tensor(mass).double() * batches, torch.tensor(error) * batches
    rows_KD = torch.ones(4, 5, dtype=torch.float64)
    parts = rows_KD, 2 * rows_KD, mass_K, mass_K / 2, mass_K / 4, error_K
    return recorded(BranchGradients(*parts, counts, batches, num_batches=10))


def recorded(branch):
    """As a page reads it from the record."""
    return GradientRecord.of(without_nan(gradient_record(branch)), len(branch.counts_K))


@pytest.fixture
def branches():
    """Masses in a batch are 1e-3 pixels times error, and constant; the rarest errs most."""
    return {
        "pixel cross entropy": gradients([0.08, 0.032, 0.016, 0.0], [0.1, 0.2, 0.8, 0.0]),
        "center branch": gradients([0.02, 0.02, 0.02, 0.0], [0.5, 0.5, 0.5, 0.0]),
    }


def test_slopes_are_those_of_the_theory(branches):
    pixel, center = branches.values()
    assert pixel.slopes["equal error"] == pytest.approx(1)
    assert 0 < pixel.slopes["present"] < 0.9
    assert center.slopes["present"] == pytest.approx(0)
    assert center.slopes["equal error"] == pytest.approx(0)
    assert center.slopes["mean"] > 0.1  # the rarest lacks a center in most batches


def test_every_panel_marks_the_present_classes_and_tells_the_slopes(branches):
    figure = gradient_figure(branches, CLASSES)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        marks = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert [len(line.get_xdata()) for line in marks] == [3, 3]
        assert len({line.get_marker() for line in marks}) == 2  # colour alone does not reach all
        assert {text.get_text() for text in axes.texts} == {"road", "pole"}
    middle = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert middle == ["slope 1.00", "slope 0.00"]
    present, mean = (axes.lines[0].get_xdata()[2] for axes in figure.axes[::2])
    assert present == pytest.approx(20 / 964)
    assert mean == pytest.approx(40 / 9640)


def test_it_is_saved_without_formulas(branches, tmp_path):
    names = ["a$b$", "b", "$c$", "d"]
    figure = gradient_figure(branches, names)
    shown = Illustration("gradients", "Gradients", figure, "", gradient_rows(branches, names))
    save_figure(shown, tmp_path)
    assert (tmp_path / "gradients.png").read_bytes().startswith(b"\x89PNG")
    svg = inline_svg(shown.svg, shown.name)
    assert "a$b$" in svg
    assert "10⁻²" in svg
    assert "mathdefault" not in svg


def test_one_class_has_no_slope(branches):
    one = gradients([0.1, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0])
    for axes in gradient_figure({"pixel cross entropy": one}, CLASSES).axes:
        assert [len(line.get_xdata()) for line in axes.lines] == [1]


def test_without_any_class_the_axes_are_empty():
    nothing_K, rows_KD = torch.zeros(4, dtype=torch.int64), torch.zeros(4, 5)
    zeros_K = torch.zeros(4)
    parts = rows_KD, rows_KD, zeros_K, zeros_K, zeros_K, zeros_K
    none = recorded(BranchGradients(*parts, nothing_K, nothing_K, num_batches=10))
    figure = gradient_figure({"pixel cross entropy": none}, CLASSES)
    save = Illustration("gradients", "Gradients", figure, "")
    assert not any(len(line.get_xdata()) for axes in figure.axes for line in axes.lines)
    assert save.png


def test_rows_say_what_is_drawn(branches):
    rows = gradient_rows(branches, CLASSES)
    assert [(row["class"], row["branch"]) for row in rows[:3]] == [
        ("road", "pixel cross entropy"),
        ("road", "center branch"),
        ("a$b$", "pixel cross entropy"),
    ]
    pole = rows[4]
    assert pole["class"] == "pole"
    assert (pole["pixels"], pole["batches with the class"], pole["batches"]) == (40, 2, 10)
    assert pole["mass where present"] == pytest.approx(0.016)
    assert pole["mean mass"] == pytest.approx(0.0032)
    assert pole["mean pull"] == pytest.approx(0.0016)
    assert pole["error where present"] == pytest.approx(0.8)
    assert pole["row gradient between"] == pytest.approx(2 * pole["row gradient within"])
