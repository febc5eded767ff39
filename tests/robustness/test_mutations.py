"""Mutations are seeded, change something, and know the formats."""

import io
import json
import zipfile
from random import Random

import numpy as np
import pytest
import yaml
from benchmarks.robustness import formats, originals, values
from benchmarks.robustness.mutations import KINDS, Format, Site, mutate, with_extreme
from PIL import Image


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, "PNG")
    return file.getvalue()


def test_the_seed_decides_and_the_content_changes():
    content = png()
    for seed in range(200):
        first, again = (mutate(content, formats.PNG, [b"x"], Random(seed)) for _ in range(2))
        assert first == again
        assert first[1] != content


def test_all_kinds_occur():
    content = json.dumps({"a": [1, 2, 3], "b": "c"}).encode()
    seen = {mutate(content, formats.JSON, [b"x"], Random(seed))[0] for seed in range(400)}
    assert seen == set(KINDS)


def test_a_repaired_png_has_right_checksums():
    content = png()
    place = formats.png_sites(content)[0]
    wider = content[: place.start] + (9).to_bytes(4, "big") + content[place.end :]
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(wider))
    assert Image.open(io.BytesIO(formats.png_repair(wider))).size == (9, 8)


def test_numbers_of_las_headers_are_where_the_format_says(tmp_path):
    originals.write_scans(tmp_path / "las", "LAS")
    content = (tmp_path / "las/train/scan.las").read_bytes()
    sites = formats.las_sites(content)
    count = Site(247, 255, "<Q")
    assert count in sites
    assert int.from_bytes(content[count.start : count.end], "little") == originals.POINTS


def test_numbers_become_extremes_of_their_width():
    seen = {with_extreme(b"ab\1\0cd", Site(2, 4, "<H"), Random(seed)) for seed in range(200)}
    assert {b"ab\xff\xffcd", b"ab\0\0cd", b"ab\xff\x7fcd"} <= seen
    assert all(len(one) == 6 for one in seen)


def test_inner_changes_leave_valid_files(tmp_path):
    file = io.BytesIO()
    np.savez(file, xyz=np.zeros((4, 3)), labels=np.zeros(4, np.uint8))
    for seed in range(50):
        changed = formats.npz_inner(file.getvalue(), Random(seed))
        with zipfile.ZipFile(io.BytesIO(changed)) as archive:
            assert archive.testzip() is None
        json.loads(values.changed_json(b'{"a": [1, {"b": 2}]}', Random(seed)))
    changed = values.changed(yaml.safe_load("a: {b: [1]}"), Random(1))
    assert changed != {"a": {"b": [1]}}


def test_a_format_without_numbers_is_damaged_too():
    kind, content = mutate(b"road\ncar\n", Format(), [], Random(5))
    assert content != b"road\ncar\n"
    assert kind in KINDS
