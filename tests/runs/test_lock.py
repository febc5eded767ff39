import multiprocessing
import time
from pathlib import Path

import pytest

from equiseg.runs.lock import held
from equiseg.study.plan import Plan, Task
from equiseg.study.run_study import run_study
from equiseg.training.run import train
from runs import tiny_config


def _hold(folder: Path, holding) -> None:
    with held(folder):
        holding.set()
        time.sleep(600)


def test_a_folder_in_use_is_refused_and_free_afterwards(tmp_path: Path):
    """By another process: a run, and a study around it."""
    context = multiprocessing.get_context("spawn")
    holding = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, holding))
    other.start()
    try:
        assert holding.wait(60)
        with pytest.raises(ValueError, match="another process is writing"):
            train(tiny_config(), tmp_path)
        assert not (tmp_path / "config.yaml").exists()
        with pytest.raises(ValueError, match="another process is writing"):
            run_study(Plan([Task(".", tiny_config(), [0])], ["ceco"], tmp_path))
        other.kill()  # also a process that had no time to say so lets go
        other.join()
        with held(tmp_path):
            pass
    finally:
        other.kill()
