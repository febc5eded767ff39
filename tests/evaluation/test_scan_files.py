"""Which scans are found, and what predicting them leaves on disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from equiseg.data.errors import DataError
from equiseg.data.points.reading import ScanReading
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.folders import FilePredictor
from equiseg.evaluation.scan_files import scan_files
from equiseg.imbalance import FrequencyGroups
from equiseg.runs.weights import ModelCard

XYZ = np.random.default_rng(0).uniform(0, 3, (100, 3))


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.arange(3.0))

    def forward(self, x):
        return self.bias.expand(len(x.features), -1)


def predictor() -> FilePredictor:
    groups = FrequencyGroups.from_counts([1] * 3)
    reading = ScanReading("arrays", (), 0.1, 1.0, 0.0, (4, 5, 6))
    card = ModelCard(
        "m", ("a", "b", "c"), ignore_index=255, size=None, groups=groups, scans=reading
    )
    return FilePredictor(Constant(), card, EvaluationConfig())


def test_hidden_files_are_no_scans(tmp_path):
    for name in ("a.npz", "._a.npz", ".b.npz"):
        (tmp_path / name).touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "c.npz").touch()
    assert scan_files([tmp_path]) == [tmp_path / "a.npz"]


def test_a_bad_scan_does_not_stop_the_others_and_nothing_is_left(tmp_path):
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    np.savez(given / "a.npz", xyz=XYZ)
    (given / "b.npz").write_bytes(b"PK")
    os.mkfifo(given / "c.npz")
    np.savez(given / "d.npz", xyz=XYZ, label=np.zeros(100), segment=np.zeros(100))
    (out / ".part-123-of-a-killed-process").mkdir(parents=True)
    found = []
    with pytest.raises(DataError, match=r"(?s)b\.npz: .*c\.npz: is a named pipe"):
        predictor().scans([given], found.append, out)
    assert [scan.name for scan in found] == ["a", "d"]
    np.testing.assert_allclose(found[0].xyz_N3, XYZ, atol=1e-6)
    assert list(out.iterdir()) == []


def test_a_killed_prediction_is_swept_by_the_next(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ)
    out = tmp_path / "out"
    script = """
import sys, time
from pathlib import Path
from test_scan_files import predictor
here = Path(sys.argv[1])
predict = predictor()
predict.model.forward = lambda x: time.sleep(600)
predict.scans([here / "a.npz"], print, here / "out")
"""
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    }
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment)
    try:
        while not any(out.glob(".part-*/a-*")):  # the store is complete: the network is called
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [path.name.startswith(".part-") for path in out.iterdir()] == [True]
    predictor().scans([tmp_path / "a.npz"], lambda scan: None, out)
    assert list(out.iterdir()) == []
