import math

import pytest

from equiseg.report.wording import caution, count, interval, number, spread, verdict
from equiseg.study.interval import Interval


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (0.1234, False, "12.3"),
        (-0.1234, True, "−12.3"),
        (0.1, True, "+10.0"),
        (-0.0001, False, "0.0"),
        (math.nan, True, "–"),
    ],
)
def test_numbers(value, sign, text):
    assert number(value, sign=sign) == text


def test_spread_leaves_out_nan_and_gives_no_deviation_of_one_value():
    assert spread([0.1, math.nan, 0.3]) == "20.0 ± 14.1"
    assert spread([0.5]) == "50.0"
    assert spread([math.nan]) == "–"


def test_interval_has_both_ends_or_nothing():
    assert interval(Interval(0.016, -0.004, 0.036)) == "−0.4 to +3.6"
    assert interval(Interval(0.016)) == ""


def test_counts_read_as_words():
    assert [count(1, "seed"), count(3, "seed"), count(12, "class")] == [
        "one seed",
        "three seeds",
        "12 classes",
    ]


def test_a_clear_gain_is_called_one(make_comparison):
    text = verdict(make_comparison(num_seeds=5, gain=0.05), "ceco")
    assert "points on the tail over plain (95 % interval " in text
    assert text.endswith("The gain on the tail is significant.")


def test_a_clear_loss_is_called_one(make_comparison):
    text = verdict(make_comparison(num_seeds=5, gain=-0.05), "ceco")
    assert text.endswith("The loss on the tail is significant.")


def test_an_interval_that_contains_zero_is_no_difference(make_comparison):
    comparison = make_comparison(num_seeds=3, gain=0.0)
    assert not comparison.difference("ceco", "tail").excludes_zero
    text = verdict(comparison, "ceco")
    assert "contains 0" in text
    assert text.endswith("No significant difference on the tail.")


def test_one_seed_has_no_interval_and_no_conclusion(make_comparison):
    text = verdict(make_comparison(num_seeds=1), "ceco")
    assert "points on the tail over plain; " in text
    assert "on the head and " in text
    assert "interval" not in text
    assert "significant" not in text


def test_caution_fades_with_seeds():
    assert "no interval" in caution(1)
    assert "degree of freedom" in caution(2)
    assert caution(3) == "Three seeds: an indication, not a proof."
    assert caution(5) == ""
