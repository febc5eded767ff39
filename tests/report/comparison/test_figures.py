from equiseg.report.comparison.figures import class_figure, narrow_class_figure
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


def test_on_a_phone_the_differences_come_first_and_fit(make_comparison):
    figure = narrow_class_figure(make_comparison())
    gaps, scores = figure.axes
    assert gaps.get_title("left") == "difference from plain, points"
    assert scores.get_title("left") == "IoU, %"
    assert figure.get_figwidth() < 5  # inches: 390 pixels of a phone without scrolling
    (alone,) = narrow_class_figure(make_comparison(variants=("plain",))).axes
    assert alone.get_title("left") == "IoU, %"
