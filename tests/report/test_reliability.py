import re

import numpy as np
import pytest

from diagnoses import tiny_diagnosis, tiny_record
from equiseg.report.comparison.sections import write_page
from equiseg.report.html import figure_section
from equiseg.report.reliability import (
    comparison_reliability,
    network_reliability,
    reliability_figure,
)


def lines(figure):
    """Lines of networks, by label, and without one those of single runs."""
    curve, _ = figure.axes
    drawn = [line for line in curve.get_lines() if line.get_color() != "#6a7382"]
    thick = {line.get_label(): line.get_xydata() for line in drawn if line.get_linewidth() == 2}
    return thick, [line.get_xydata() for line in drawn if line.get_linewidth() < 1]


def test_a_bin_is_drawn_at_its_means_and_one_of_few_predictions_is_not():
    bins = {"count": [0, 99, 200], "confidence": [0.0, 45.0, 180.0], "correct": [0, 40, 150]}
    thick, thin = lines(reliability_figure({"one": [bins]}))
    np.testing.assert_allclose(thick["one"], [[90, 75]])
    assert thin == []


def test_seeds_are_added_up_bin_by_bin():
    first = {"count": [100, 300], "confidence": [40.0, 270.0], "correct": [50, 240]}
    second = {"count": [300, 100], "confidence": [60.0, 80.0], "correct": [30, 60]}
    figure = reliability_figure({"both": [first, second]})
    thick, thin = lines(figure)
    np.testing.assert_allclose(thick["both"], [[25, 20], [87.5, 75]])
    np.testing.assert_allclose(thin, [[[40, 50], [90, 80]], [[20, 10], [80, 60]]])
    (stairs,) = figure.axes[1].patches
    assert stairs.get_data().values.tolist() == [0.5, 0.5]


def test_many_methods_are_told_apart():
    bins = {"count": [500], "confidence": [300.0], "correct": [200]}
    figure = reliability_figure({f"method {n}": [bins] for n in range(15)})
    drawn = [line for line in figure.axes[0].get_lines() if line.get_linewidth() == 2]
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 15


def test_a_comparison_shows_all_seeds_and_says_so(make_comparison):
    shown = comparison_reliability(make_comparison(num_seeds=3))
    assert "thin ones single seeds" in shown.caption
    assert len(shown.numbers) == 2 * 3 * 3  # the first of four bins is empty
    last = shown.numbers[-1]
    assert (last["variant"], last["run"], last["up to"], last["right"]) == (
        "ceco",
        2,
        1,
        pytest.approx(7100 / 9000),
    )
    assert "<svg" in figure_section(shown)
    assert "single seeds" not in comparison_reliability(make_comparison(num_seeds=1)).caption


def test_runs_scored_before_calibration_was_counted_have_no_figure(make_comparison):
    comparison = make_comparison()
    assert "ece" in comparison.metrics
    score = comparison.runs["ceco"][2]["test"]
    del score["calibration"], score["ece"]
    assert comparison_reliability(comparison) is None
    assert "ece" not in comparison.metrics


def test_networks_are_told_with_their_groups():
    calibration = tiny_diagnosis().evaluation.calibration
    shown = network_reliability({"net": tiny_record()})
    assert f"net {100 * calibration.ece:.1f} %" in shown.caption
    assert f"tail {100 * calibration.tail:.1f})" in shown.caption
    assert sum(row["predictions"] for row in shown.numbers) == int(calibration.counts_KM.sum())


def test_more_calibration_error_is_marked_as_a_loss(make_comparison, tmp_path):
    write_page(tmp_path / "page.html", "title", make_comparison(num_seeds=5), [])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    row = re.search(r"<tr><th scope=row>calibration error <i>less is better</i>.*?</tr>", text)
    assert 'class="loss"' in row.group()
    assert "+" in row.group()
    assert 'class="gain"' not in row.group()
