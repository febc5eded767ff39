"""The envelope of records: kind, version, and files that are replaced whole."""

import json

import pytest

from equiseg.records.envelope import VERSION, read_record, replace_file, write_record


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


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    file = tmp_path / "record"
    replace_file(file, lambda opened: opened.write(b"old"))

    def fail(opened):
        opened.write(b"half of the n")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        replace_file(file, fail)
    assert file.read_bytes() == b"old"
