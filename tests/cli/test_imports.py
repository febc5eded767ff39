"""A verb imports only what it needs: some libraries take longer to import than torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runs import write_street

SLOW = {"lightning", "torchmetrics", "transformers", "scipy"}
CODE = """
import json, sys
from equiseg.cli.main import main
try:
    main(sys.argv[1:])
finally:
    names = {name.split(".")[0] for name in sys.modules}
    print(json.dumps(sorted(names)), file=sys.stderr)
"""


def imported(*line: object, status: int = 0) -> set[str]:
    """The packages that a command line imported, which ended with this status."""
    command = [sys.executable, "-c", CODE, *map(str, line)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def street(tmp_path: Path) -> Path:
    write_street(tmp_path / "street", ((48, 64), (48, 64)))
    return tmp_path / "street/street.yaml"


def test_predict_and_evaluate_import_torch_alone(finished_run: Path, tmp_path: Path):
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    out = ("--out", tmp_path / "out")
    predicted = imported("predict", "--weights", finished_run, "--inputs", tmp_path / "a.png", *out)
    assert "torch" in predicted
    assert not predicted & SLOW
    assert not imported("evaluate", "--run", finished_run, "--threads", 1) & SLOW


def test_counting_and_checking_data_import_torch_alone(street: Path):
    assert not imported("stats", street, "--split", "train") & SLOW
    assert not imported("doctor", street, "--model", "fpn-small", status=1) & SLOW


def test_options_are_shown_without_torch():
    for verb in ("train", "predict", "evaluate"):
        assert not imported(verb, "--help") & (SLOW | {"torch"})
