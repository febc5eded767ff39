from pathlib import Path

import pytest
import yaml

from equiseg.runs.lock import held
from equiseg.study.parallel_runs import Run, _environment, train_all
from runs import tiny_config


def test_a_finished_run_of_an_earlier_version_counts_as_finished(tmp_path: Path):
    run = Run(tiny_config(epochs=1, log_collapse=False), tmp_path)
    train_all([run], 1)
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    del written["adjust"]  # a field that it did not know
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written))
    assert run.is_finished


def test_each_process_of_torchrun_takes_one_gpu(monkeypatch):
    for name, value in {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    for visible, taken in (("4,7", "7"), ("4", "4")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        environment = _environment(tiny_config(), 1)
        assert environment["CUDA_VISIBLE_DEVICES"] == taken
        assert "LOCAL_RANK" not in environment


def test_torchrun_processes_share_the_runs(tmp_path: Path, monkeypatch):
    """The second of two processes trains the second run; without the first it would wait."""
    runs = [Run(tiny_config(epochs=1, seed=seed), tmp_path / str(seed)) for seed in range(2)]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    waited = []
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *_, **__: None)
    monkeypatch.setattr("torch.distributed.barrier", lambda: waited.append(True))
    train_all(runs, 1)
    assert [run.is_finished for run in runs] == [False, True]
    assert waited == [True]


def test_runs_killed_by_the_system_can_be_resumed(tmp_path: Path, monkeypatch):
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(killed))
    runs = [Run(tiny_config(seed=seed), tmp_path / str(seed)) for seed in range(2)]
    with pytest.raises(
        RuntimeError, match=r"2 of 2 runs were killed.*The same command resumes them"
    ):
        train_all(runs, 2)


def test_nothing_starts_in_a_folder_that_is_in_use_or_holds_another_run(tmp_path: Path):
    runs = [Run(tiny_config(seed=seed), tmp_path / str(seed)) for seed in range(2)]
    with held(runs[1].folder), pytest.raises(ValueError, match="another process is writing"):
        train_all(runs, 1)
    (runs[1].folder / "config.yaml").write_text("seed: 7\n")
    with pytest.raises(ValueError, match="seed is 7 there, 1 here"):
        train_all(runs, 1)
    assert not runs[0].folder.exists()
