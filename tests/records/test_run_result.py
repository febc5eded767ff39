"""result.json is checked when it is read: damage is named by its place."""

import json
import shutil
from pathlib import Path

import pytest

from equiseg.foreign_files import FileError
from equiseg.records.run_result import read_result


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    shutil.copy(finished_run / "result.json", tmp_path)
    return tmp_path


def test_a_whole_result_is_read(run: Path):
    assert read_result(run)["seed"] == 0


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("seed",), "0", "seed must be a whole number, got 0"),
        (("seed",), 10**30, "seed must be a whole number"),
        (("seed",), True, "seed must be a whole number"),
        (("classes",), {"a": 1}, "classes must be a list"),
        (("classes", 0), 1, r"classes\[0\] must be a text"),
        (("classes",), ["a"], "groups must hold ids of 1 classes"),
        (("groups",), {"head": [0]}, "groups must be head, common and tail"),
        (("pixels",), [1, 2], "pixels must have one value for each of 6 classes, got 2"),
        (("val",), [], "val must be a mapping"),
        (("val", "iou"), [0.1], r"val\.iou must have one value for each of 6 classes, got 1"),
        (("val", "iou", 0), "x" * 200, r"val\.iou\[0\] must be a number, got x{77}\.\.\."),
        (("val", "miou"), None, r"val\.miou must be a number, got None"),
        (("val", "accuracy"), [0.1], r"val\.accuracy must have one value for each of 6 classes"),
        (("val", "tail_accuracy"), "x", r"val\.tail_accuracy must be a number"),
        (("val", "collapse"), None, r"val\.collapse must be a mapping"),
        (("config",), {}, r"config\.data must be there"),
        (("step_seconds",), "1", "step_seconds must be a number"),
    ],
)
def test_damage_is_named_with_its_place(place, value, told, run: Path):
    values = json.loads((run / "result.json").read_text())
    part = values
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (run / "result.json").write_text(json.dumps(values))
    with pytest.raises(FileError, match=rf"result\.json: damaged or changed: {told}"):
        read_result(run)


def test_keys_that_are_missing_are_named(run: Path):
    whole = json.loads((run / "result.json").read_text())
    for name in ("seed", "config", "method", "classes", "groups", "pixels"):
        (run / "result.json").write_text(json.dumps({k: whole[k] for k in whole if k != name}))
        with pytest.raises(FileError, match=f"{name} must be there"):
            read_result(run)
