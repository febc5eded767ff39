"""The envelope of records: kind, version, and files that are replaced whole."""

import json

import pytest

from equiseg.records.record_files import VERSION, read_record, write_record


def read(path, *needed):
    return read_record(path, "comparison", needed, "equiseg compare")


def test_a_record_comes_back_without_its_envelope(tmp_path):
    file = tmp_path / "new" / "comparison.json"
    write_record(file, "comparison", {"seeds": [0, 1]})
    written = json.loads(file.read_text())
    assert (written["kind"], written["version"]) == ("comparison", VERSION)
    assert read(file, "seeds") == {"seeds": [0, 1]}


def test_a_record_from_before_there_were_versions_is_read(tmp_path):
    file = tmp_path / "comparison.json"
    file.write_text('{"seeds": [0]}')
    assert read(file, "seeds") == {"seeds": [0]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"kind": "comparison", "version": 99, "seeds": []}', "version 99, .* versions 0, 1"),
        ('{"kind": "comparison", "version": "1b", "seeds": []}', "version 1b"),
        ('{"kind": "comparison", "version": [1], "seeds": []}', "version .1."),
        ('{"kind": "comparison", "version": 1}', "version 1. lacks seeds"),
        ('{"split": "test"}', "version 0. lacks seeds"),
        ('{"kind": "run", "version": 1, "seeds": []}', "record of a comparison, got 'run'"),
        ("[1, 2]", "record of a comparison, got 'list'"),
        ('{"seeds": [0, ', "not a JSON file"),
        ("", "not a JSON file"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_next_step(tmp_path, text, told):
    file = tmp_path / "comparison.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"^{file}: .*{told}") as error:
        read(file, "seeds")
    assert "equiseg compare" in str(error.value) or "got" in str(error.value)
