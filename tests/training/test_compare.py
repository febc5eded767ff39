import json
import math
from pathlib import Path

import pytest

from equiseg.training.compare import Comparison, Difference, Variant
from runs import tiny_config


def test_difference_is_paired_and_students():
    difference = Difference.of([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert difference.mean == 2.0
    assert difference.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert not difference.excludes_zero
    assert Difference.of([1.0, 1.1, 0.9], [0.0, 0.0, 0.0]).excludes_zero


def test_difference_leaves_out_pairs_without_a_value():
    difference = Difference.of([1.0, math.nan, 2.0], [0.0, 0.0, 0.5])
    assert difference.mean == pytest.approx(1.25)
    assert math.isnan(Difference.of([1.0], [0.5]).half_width)


def test_variants_change_the_base():
    base = tiny_config()
    plain = Variant.parse("cross_entropy", base)
    assert (plain.name, plain.config.method) == ("cross_entropy", "cross_entropy")
    text = "strong:method=cross_entropy + center_collapse(weight=0.8, scale=10), epochs=5"
    changed = Variant.parse(text, base)
    assert changed.config.method == "cross_entropy + center_collapse(weight=0.8, scale=10)"
    assert changed.config.epochs == 5
    assert changed.config.data == base.data
    cropped = Variant.parse("cropped:data.augment.crop=[32,48],epochs=4", base)
    assert cropped.config.data.augment.crop == (32, 48)
    assert cropped.config.epochs == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("focl", "focl is none of ceco, "),
        ("a:method", "must read field=value"),
        ("a/b:epochs=3", "a name is made of letters"),
        ("a:optimizer.wait=1", "is none of the fields"),
        ("a:optimizer.lr=high", "does not fit"),
    ],
)
def test_variants_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        Variant.parse(text, tiny_config())


def test_confusion_matrices_stay_out_of_the_comparison(finished_run: Path):
    folders = {"ceco": [finished_run]}
    comparison = Comparison.collect(folders, [0], "test")
    assert "confusion" not in json.dumps(comparison.runs)
    with pytest.raises(ValueError, match="split must be one"):
        Comparison.collect(folders, [0], "train")
