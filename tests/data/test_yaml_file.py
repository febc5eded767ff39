"""YAML of any origin: read right, or one short error with file and line."""

import pytest

from equiseg.data import DataError
from equiseg.data.yaml_file import read_yaml


def read(folder, content):
    file = folder / "card.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(file)


def test_byte_order_marks_and_line_ends_of_windows(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: [x, y]\r\n") == {"a": 1, "b": ["x", "y"]}


def test_anchors_and_merged_keys_work(tmp_path):
    text = "base: &b {x: 1, y: [1, 2]}\nmore: {<<: *b, x: 2}\nagain: *b"
    found = read(tmp_path, text)
    assert found["more"] == {"x": 2, "y": [1, 2]}
    assert found["again"] == {"x": 1, "y": [1, 2]}


def bomb():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"key 'a' is given twice \(line 3\)"),
        ("a: {0: x, 1: y, 0: z}", r"key 0 is given twice \(line 1\)"),
        (bomb(), r"aliases add more than 10,000 values \(line \d+\)"),
        ("a: &a [*a]", r"an alias inside the value that it names \(line 1\)"),
        ("[" * 5000, r"nested deeper than 40 levels \(line 1\)"),
        ("a: !!int abc", r"cannot read 'abc' as .*:int.* \(line 1\)"),
        ("a: 1\nb: 2001-02-30", r"cannot read '2001-02-30' .* \(line 2\)"),
        ("a: !!timestamp zz", r"cannot read 'zz' as .*timestamp"),
        ("a: 0x" + "f" * 100, r"a number of more than 128 bits"),
        ("a: " + "9" * 5000, r"cannot read '9+\.\.\.' as .*:int"),
        ("? [1, 2]\n: x", r"found unhashable key"),
        ("a: !!python/object:os.system x", r"could not determine a constructor"),
        ("a: [1, 2", r"line 1"),
        ("a: \x07", r"special characters are not allowed"),
        (b"a: caf\xe9", r"not UTF-8 at byte 6 \(0xe9\)"),
        (b"\xff\xfea\x00", r"not UTF-8 at byte 0"),
        (b"a: 1\n" * (1 << 20), r"has 5 MiB, a text of at most 4 MiB"),
    ],
    ids=range(17),
)
def test_a_text_that_cannot_be_meant_is_one_short_error(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"card\.yaml: .*{message}") as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 500


def test_long_lists_are_refused_before_they_take_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("equiseg.data.yaml_file._MOST_NODES", 100)
    assert len(read(tmp_path, "[" + "x, " * 90 + "]")) == 90
    with pytest.raises(DataError, match=r"more than 100 values; write long lists of names into"):
        read(tmp_path, "[" + "x, " * 200 + "]")
