import json
import math
from pathlib import Path

import pytest

from equiseg.training.compare import COMPARISON, Comparison, Difference, Variant, compare
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
    changed = Variant.parse("strong:method=ceco,ceco.weight=0.8,epochs=5", base)
    assert changed.config.method == "ceco"
    assert changed.config.ceco.weight == 0.8
    assert changed.config.epochs == 5
    assert changed.config.data == base.data
    cropped = Variant.parse("cropped:data.augment.crop=[32,48],epochs=4", base)
    assert cropped.config.data.augment.crop == (32, 48)
    assert cropped.config.epochs == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("focal", "method='focal' in 'focal' does not fit"),
        ("a:method", "must read field=value"),
        ("a/b:epochs=3", "a name is made of letters"),
        ("a:ceco.wait=1", "is none of the fields"),
        ("a:ceco.weight=heavy", "does not fit"),
    ],
)
def test_variants_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        Variant.parse(text, tiny_config())


def test_comparing_trains_once_and_pairs_by_seed(tmp_path: Path):
    config = tiny_config(epochs=1)
    variants = [Variant.parse(name, config) for name in ("cross_entropy", "ceco")]
    shares: dict[str, float] = {}
    first = compare(variants, [3], tmp_path, jobs=2, report=shares.__setitem__)
    assert shares == {"cross_entropy/seed3": 1.0, "ceco/seed3": 1.0}
    assert first.difference("ceco", "miou").mean == pytest.approx(
        first.values("ceco", "miou")[0] - first.values("cross_entropy", "miou")[0]
    )
    assert Comparison.load(tmp_path / COMPARISON).runs.keys() == first.runs.keys()

    results = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/seed3/result.json")}
    assert len(results) == 2
    compare(variants, [3], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in results} == results


def test_a_failed_run_names_its_log(tmp_path: Path):
    config = tiny_config(batch_size=1000)
    with pytest.raises(ValueError, match=r"split must be one of \['val', 'test'\], got 'train'"):
        compare([Variant.parse("ceco", config)], [0], tmp_path, split="train")
    with pytest.raises(RuntimeError, match=r"1 of 1 runs failed; see .*output\.log"):
        compare([Variant.parse("ceco", config)], [0], tmp_path)
    log = (tmp_path / "ceco/seed0/output.log").read_text()
    assert "batch_size must be at most the 12 training samples" in log
    assert "Traceback" not in log


def test_confusion_matrices_stay_out_of_the_comparison(finished_run: Path):
    folders = {"ceco": [finished_run]}
    comparison = Comparison.collect(folders, [0], "test")
    assert "confusion" not in json.dumps(comparison.runs)
    with pytest.raises(ValueError, match="split must be one"):
        Comparison.collect(folders, [0], "train")
