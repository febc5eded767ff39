"""The memory of a run is that of its training, whatever the process held before."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from equiseg.training import callbacks
from equiseg.training.callbacks import PeakMemory

MB = 2**20
TRAINER = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
FIT_OF_300_MB = f"""
from types import SimpleNamespace
import torch
from equiseg.training.callbacks import PeakMemory

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
