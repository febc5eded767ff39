import json
import math
from pathlib import Path

import pytest

from equiseg.study.comparison import Comparison
from equiseg.study.interval import Interval


def test_differences_are_paired_with_students_interval():
    difference = Interval.paired([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert difference.mean == 2.0
    assert difference.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert not difference.excludes_zero
    assert Interval.paired([1.0, 1.1, 0.9], [0.0, 0.0, 0.0]).excludes_zero


def test_difference_leaves_out_pairs_without_a_value():
    difference = Interval.paired([1.0, math.nan, 2.0], [0.0, 0.0, 0.5])
    assert difference.mean == pytest.approx(1.25)
    assert math.isnan(Interval.paired([1.0], [0.5]).half_width)


def test_confusion_matrices_stay_out_of_the_comparison(finished_run: Path):
    folders = {"ceco": [finished_run]}
    comparison = Comparison.collect(folders, [0], "test")
    assert "confusion" not in json.dumps(comparison.runs)
    with pytest.raises(ValueError, match="split must be one"):
        Comparison.collect(folders, [0], "train")
