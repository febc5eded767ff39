"""The memory of a run is that of its training, whatever the process held before."""

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from equiseg.training import callbacks
from equiseg.training.callbacks import PeakMemory, ValidationTable

MB = 2**20
TRAINER = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
FIT_OF_300_MB = f"""
from types import SimpleNamespace
import torch
from rich.console import Console
from equiseg.training.callbacks import PeakMemory, ValidationTable

trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
ones = lambda megabytes: torch.ones(megabytes * {MB}, dtype=torch.uint8)
held = ones(150)
ones(700)  # and gone before training
memory = PeakMemory()
memory.on_fit_start(trainer, None)
ones(300)
memory.on_fit_end(trainer, None)
ones(700)
print(memory.of, memory.peak_bytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells it")
def test_peak_memory_excludes_memory_before_training():
    done = subprocess.run([sys.executable, "-c", FIT_OF_300_MB], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    of, peak = done.stdout.split()
    assert of == "fit"
    assert 295 * MB < int(peak) < 330 * MB


def test_without_linux_the_whole_process_counts_and_the_result_says_so(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(callbacks, "_forget_peak", lambda: None)
    memory = PeakMemory()
    memory.on_fit_start(TRAINER, None)
    memory.on_fit_end(TRAINER, None)
    assert memory.of == "process"
    if sys.platform != "win32":
        assert memory.peak_bytes > 50 * MB  # Python and torch alone take more


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_of_scores_fit_the_width(width: int):
    parts = ("cross_entropy", "center_collapse", "region_rebalance", "prototype_contrast")
    values = {f"loss/{name}": 1.0 for name in parts} | {"loss": 4.0}
    values |= {f"val/{name}": 0.5 for name in ("miou", "head", "common", "tail")}
    trainer = SimpleNamespace(is_global_zero=True, callback_metrics=values, current_epoch=99)
    text = io.StringIO()
    table = ValidationTable(Console(file=text, width=width))
    table.on_validation_end(trainer, None)
    table.on_train_epoch_end(trainer, None)
    header, row = text.getvalue().splitlines()
    assert len(header) <= width
    assert len(row.split()) == len(header.split())
    assert {"loss", "mIoU", "tail"} <= set(header.split())
    assert ("prototype_contrast" in header) == (width == 200)
