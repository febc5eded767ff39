import pytest
import torch

from equiseg.collapse import Geometry
from equiseg.frames import simplex_etf
from equiseg.records.history import read_histories
from equiseg.report.comparison.figures import class_figure, narrow_class_figure
from equiseg.report.cosines import CosineMap, cosine_figure
from equiseg.report.curves import collapse_curve_figure, curve_figure
from equiseg.report.html import figure_section
from equiseg.report.style import Illustration, inline_svg


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


def test_variants_differ_by_mark_as_well_as_by_colour(make_comparison):
    figure = class_figure(make_comparison(variants=("plain", "ceco", "other")))
    handles = figure.legends[0].legend_handles
    assert len({handle.get_marker() for handle in handles}) == 3
    drawn = {(line.get_marker(), line.get_color()) for line in figure.axes[1].lines}
    assert {(h.get_marker(), h.get_color()) for h in handles} <= drawn


def test_dollar_signs_in_names_are_no_formulas(make_comparison):
    comparison = make_comparison()
    comparison.classes[0] = "a$b$<c>"
    shown = Illustration("classes", "Classes", class_figure(comparison), "")
    assert "a$b$&lt;c&gt;" in inline_svg(shown.svg, shown.name)
    assert shown.png.startswith(b"\x89PNG")


def test_inline_svg_turns_dark_with_the_page_and_shares_no_ids(make_comparison):
    shown = Illustration("classes", "Classes", class_figure(make_comparison()), "")
    svg = inline_svg(shown.svg, shown.name)
    assert "var(--ink)" in svg
    assert "#1d2430" not in svg
    assert svg.count('id="') == svg.count('id="classes-')
    assert "http" not in svg


@pytest.fixture
def logged(tmp_path):
    """Runs of two variants with two seeds that logged nine epochs."""
    folders = {name: [tmp_path / name / f"seed{s}" for s in (0, 1)] for name in ("plain", "ceco")}
    for folder in (f for some in folders.values() for f in some):
        logs = folder / "logs" / "version_0"
        logs.mkdir(parents=True)
        rows = "".join(f"{e},{e},{2 - e / 9},{1 - e / 9},{e / 9},{9 - e},nan\n" for e in range(9))
        names = "epoch,step,loss,loss/cross_entropy,val/miou,"
        names += "collapse/nc1_ratio,collapse/self_duality\n"
        (logs / "metrics.csv").write_text(names + rows)
    return folders


def test_curves_are_drawn_for_what_was_logged(logged):
    figure = curve_figure(read_histories(logged))
    assert figure is not None
    assert [axes.get_title("left") for axes in figure.axes] == [
        "validation mIoU, %",
        "training loss: cross entropy",
    ]
    assert all(len(axes.lines) == 2 * 3 for axes in figure.axes)  # two seeds and their mean


def test_a_place_without_curves_stays_empty(logged):
    for folder in (f for some in logged.values() for f in some):
        file = folder / "logs" / "version_0" / "metrics.csv"
        first, *rows = file.read_text().splitlines()
        lines = [f"{first},loss/dice", *(f"{row},1" for row in rows)]
        file.write_text("\n".join(lines))
    figure = curve_figure(read_histories(logged))
    assert figure is not None
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]
    above = figure.axes[1].xaxis.get_tick_params()
    assert above["labelbottom"]


def test_collapse_has_curves_of_its_own(logged):
    figure = collapse_curve_figure(read_histories(logged))
    assert figure is not None
    spread, duality = figure.axes
    assert spread.get_title("left") == "spread within classes over between"
    assert [list(line.get_ydata()) for line in spread.lines] == 6 * [list(range(9, 0, -1))]
    assert not duality.lines  # NaN throughout


def test_no_logs_no_curves(tmp_path):
    assert curve_figure(read_histories({"plain": [tmp_path]})) is None
    assert collapse_curve_figure(read_histories({"plain": [tmp_path]})) is None


@pytest.mark.parametrize("num_classes", [2, 6])
def test_a_simplex_looks_like_the_ideal(make_comparison, num_classes):
    comparison = make_comparison(num_classes=6)
    centers = torch.zeros(6, 8)
    centers[:num_classes] = simplex_etf(num_classes, 8, generator=torch.Generator().manual_seed(0))
    present = torch.arange(6) < num_classes
    geometry = Geometry.of(centers, present, centered=True)
    numbers = geometry.maximal_separation, geometry.num_present
    shown = CosineMap(geometry.cosines_KK.numpy(), *numbers)
    figure = cosine_figure({"ceco": shown}, comparison.classes, comparison.groups)
    panel, ideal = figure.axes[:2]
    assert panel.get_xlabel() == "mean distance 0.000"
    cosines = panel.images[0].get_array()
    cell = cosines.shape[0] // 6
    assert cosines[cell // 2, cell + cell // 2] == pytest.approx(-1 / (num_classes - 1), abs=1e-6)
    assert cosines.mask[cell // 2, cell // 2]  # a class with itself
    if num_classes < 6:
        assert cosines.mask[-1, 0]  # absent
    assert ideal.get_title("left") == "ideal"


def test_a_phone_gets_a_drawing_of_its_own_width(make_comparison):
    comparison = make_comparison()
    narrow = narrow_class_figure(comparison)
    assert [axes.get_title("left").split()[0] for axes in narrow.axes] == ["difference", "IoU,"]
    assert narrow.get_figwidth() < 5
    wide = Illustration("classes", "Classes", class_figure(comparison), "", narrow=narrow)
    section = figure_section(wide)
    assert section.index('class="scroll wide"') < section.index('class="narrow"')
    ids = [part.split('"')[0] for part in section.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
