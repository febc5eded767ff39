"""Two processes, as torchrun starts them, train one network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from equiseg.data.config import DataConfig
from equiseg.data.synthetic.config import SyntheticConfig
from equiseg.data.synthetic.scans.config import ScansConfig
from equiseg.training.config_file import write_config
from runs import tiny_config

ROOMS = DataConfig(
    card="scans",
    synthetic=SyntheticConfig(
        scans=ScansConfig(num_classes=6, points=1500), num_samples=(12, 4, 4)
    ),
)


@pytest.mark.parametrize("data", [{}, {"data": ROOMS}], ids=["images", "scans"])
def test_two_processes_train_one_network(tmp_path: Path, data: dict):
    write_config(tiny_config(epochs=1, batch_size=2, **data), tmp_path / "config.yaml")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", "29653", "-m", "equiseg", "train"]
    command += ["--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads((tmp_path / "run/result.json").read_text())["best_epoch"] == 1
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 3  # 12 samples, 2 ranks, batches of 2
