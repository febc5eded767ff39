import json

import numpy as np
import pytest

from equiseg.records.envelope import read_record, write_record
from equiseg.records.examples import ExamplePanels


def test_a_record_is_read_as_it_was_written(tmp_path):
    write_record(tmp_path / "made" / "run.json", "run", {"a": [1.5], "b": None})
    assert json.loads((tmp_path / "made" / "run.json").read_text())["version"] == 1
    assert read_record(tmp_path / "made" / "run.json", "run", ("a",), "x") == {
        "a": [1.5],
        "b": None,
    }
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["run.json"]


def test_a_record_without_a_version_is_read(tmp_path):
    (tmp_path / "old.json").write_text('{"a": 1}')
    assert read_record(tmp_path / "old.json", "run", ("a",), "equiseg train") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"kind": "run", "version": 7}',
            "version 7, this equiseg reads the versions 0, 1",
        ),
        ('{"kind": "study", "version": 1}', "must be the record of a run, got 'study'"),
        ('{"b": 1}', "version 0. lacks a; write it again with equiseg train"),
        ("[1]", "must be the record of a run, got 'list'"),
        ("{", "not a JSON file"),
    ],
)
def test_other_records_are_refused_with_their_file(tmp_path, text, message):
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(ValueError, match=message) as raised:
        read_record(tmp_path / "it.json", "run", ("a",), "equiseg train")
    assert str(tmp_path / "it.json") in str(raised.value)


def test_example_panels_are_read_as_they_were_written(tmp_path):
    picture, labels = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8)
    panels = ExamplePanels(
        "images", ["a", "b"], 9, ("x", "y"), {"tail": [1]}, [picture, picture + 1],
        [labels, labels], {"net": [labels, labels + 1]}, ["net"], [],
    )  # fmt: skip
    panels.save(tmp_path / "examples.npz")
    found = ExamplePanels.load(tmp_path / "examples.npz")
    assert (found.names, found.considered, found.points) == (["a", "b"], 9, [])
    assert np.array_equal(found.pictures[1], picture + 1)
    assert np.array_equal(found.predictions["net"][1], labels + 1)
    np.savez(tmp_path / "other.npz", labels)
    with pytest.raises(ValueError, match="must be example panels of version 1"):
        ExamplePanels.load(tmp_path / "other.npz")
