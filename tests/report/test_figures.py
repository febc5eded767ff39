import pytest
import torch

from equiseg.frames import simplex_etf
from equiseg.report.drawing import inline_svg, save_png
from equiseg.report.figures import class_figure, cosine_figure, curve_figure


def test_class_figure_marks_each_mean_seed_and_interval(make_comparison):
    figure = class_figure(make_comparison(num_classes=6, num_seeds=5))
    _, scores, gaps = figure.axes
    means = [line for line in scores.lines if len(line.get_xdata()) == 1]
    seeds = [line for line in scores.lines if len(line.get_xdata()) == 5]
    assert len(means) == len(seeds) == 2 * 5  # two variants; the sixth class has no score
    assert len(gaps.collections) == 5  # one interval a class


def test_class_figure_of_one_seed_draws_no_interval(make_comparison):
    gaps = class_figure(make_comparison(num_seeds=1)).axes[2]
    assert not gaps.collections


def test_class_figure_of_one_variant_has_no_differences(make_comparison):
    assert len(class_figure(make_comparison(variants=("plain",))).axes) == 2


def test_dollar_signs_in_names_are_no_formulas(make_comparison, tmp_path):
    comparison = make_comparison()
    comparison.classes[0] = "a$b$<c>"
    figure = class_figure(comparison)
    assert "a$b$&lt;c&gt;" in inline_svg(figure, "classes")
    save_png(figure, tmp_path / "figures" / "classes.png")
    assert (tmp_path / "figures" / "classes.png").read_bytes().startswith(b"\x89PNG")


def test_inline_svg_turns_dark_with_the_page_and_shares_no_ids(make_comparison):
    svg = inline_svg(class_figure(make_comparison()), "classes")
    assert "var(--ink)" in svg
    assert "#1d2430" not in svg
    assert svg.count('id="') == svg.count('id="classes-')
    assert "http" not in svg


def test_curves_are_drawn_for_what_was_logged(tmp_path):
    folders = {name: [tmp_path / name / f"seed{s}" for s in (0, 1)] for name in ("plain", "ceco")}
    for folder in (f for some in folders.values() for f in some):
        logs = folder / "logs" / "version_0"
        logs.mkdir(parents=True)
        rows = "".join(f"{e},{e},{2 - e / 9},{1 - e / 9},{e / 9}\n" for e in range(9))
        (logs / "metrics.csv").write_text("epoch,step,loss,loss/pixel,val/miou\n" + rows)
    figure = curve_figure(folders)
    assert figure is not None
    assert [axes.get_title("left") for axes in figure.axes] == [
        "validation mIoU, %",
        "training loss: pixel",
    ]
    assert all(len(axes.lines) == 2 * 3 for axes in figure.axes)  # two seeds and their mean


def test_no_logs_no_curves(tmp_path):
    assert curve_figure({"plain": [tmp_path]}) is None


@pytest.mark.parametrize("num_classes", [2, 6])
def test_a_simplex_looks_like_the_ideal(make_comparison, num_classes):
    comparison = make_comparison(num_classes=6)
    centers = torch.zeros(6, 8)
    centers[:num_classes] = simplex_etf(num_classes, 8, generator=torch.Generator().manual_seed(0))
    present = torch.arange(6) < num_classes
    figure = cosine_figure({"ceco": (centers, present)}, comparison.classes, comparison.groups)
    panel, ideal = figure.axes[:2]
    assert panel.get_xlabel() == "mean distance 0.000"
    cosines = panel.images[0].get_array()
    cell = cosines.shape[0] // 6
    assert cosines[cell // 2, cell + cell // 2] == pytest.approx(-1 / (num_classes - 1), abs=1e-6)
    assert cosines.mask[cell // 2, cell // 2]  # a class with itself
    if num_classes < 6:
        assert cosines.mask[-1, 0]  # absent
    assert ideal.get_title("left") == "ideal"
