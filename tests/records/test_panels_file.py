"""Example panels in their file."""

import json

import numpy as np
import pytest

from equiseg.records.examples import ExamplePanels

GROUPS = {"head": [0], "common": [1], "tail": [2]}


def panels(kind="images"):
    labels = [np.array([[0, 1, 2], [3, 1, 0]], dtype=np.uint8), np.zeros((4, 2), dtype=np.uint8)]
    pictures = [np.full((*ids.shape, 3), 7, dtype=np.uint8) for ids in labels]
    points = [np.ones((5, 3), dtype=np.float32)] * 2 if kind == "scans" else []
    predictions = {"a/b": [labels[0][::-1], labels[1]], "ceco": labels}
    return ExamplePanels(
        kind, ["x", "y"], 9, ("one", "two", "$"), GROUPS, pictures, labels, predictions, ["ceco"],
        points,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["images", "scans"])
def test_panels_come_back_as_they_were(tmp_path, kind):
    saved = panels(kind)
    saved.save(tmp_path / "examples.npz")
    loaded = ExamplePanels.load(tmp_path / "examples.npz")
    for name in ("kind", "names", "considered", "classes", "groups", "with_errors"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert list(loaded.predictions) == ["a/b", "ceco"]
    for name in ("pictures", "labels", "points"):
        ours, theirs = getattr(loaded, name), getattr(saved, name)
        assert len(ours) == len(theirs)
        assert all(
            np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(ours, theirs, strict=True)
        )
    assert np.array_equal(loaded.predictions["a/b"][0], saved.labels[0][::-1])


def test_another_version_is_refused(tmp_path):
    about = {"kind": "examples", "version": 99}
    np.savez(tmp_path / "examples.npz", about=np.array(json.dumps(about)))
    with pytest.raises(
        ValueError, match=r"examples.npz: .* version 1, got 'examples' of version 99"
    ):
        ExamplePanels.load(tmp_path / "examples.npz")


def test_a_cut_file_is_named(tmp_path):
    file = tmp_path / "examples.npz"
    panels().save(file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"examples\.npz"):
        ExamplePanels.load(file)
