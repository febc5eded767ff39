"""A batch of runs: beside each other on this machine, dealt out over several."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml

from equiseg.training.config import TrainConfig
from equiseg.training.config_file import plain, write_config
from equiseg.training.result import RESULT
from equiseg.training.run import PROGRESS

LOG = "output.log"
_POLL_SECONDS = 0.5
_RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
Report = Callable[[Path, float], None]


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        config: Its configuration.
        folder: Where it goes.
    """

    config: TrainConfig
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether its folder holds the result of this configuration."""
        if not (self.folder / RESULT).is_file():
            return False
        trained = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        return bool(trained == plain(self.config))


def train_all(runs: Sequence[Run], jobs: int, report: Report = lambda folder, share: None) -> None:
    """Train what is not finished, each run in a process of its own.

    Finished runs are left alone, interrupted ones go on where they stopped; one that fails leaves
    its reason in ``output.log`` and does not stop the others. Under torchrun the processes deal
    the runs out among themselves and wait for each other; each needs the same folder.

    Args:
        runs: What to train.
        jobs: Runs beside each other, on each process of torchrun. They share its cores evenly,
            unless the configuration says how many ``threads`` each takes.
        report: Told the share of each run that is done, now and then; 1 when it ends.
    """
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = [pool.submit(_train, run, jobs, report, stop) for run in runs[rank::ranks]]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()  # ends the running processes; what has not begun does not begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if ranks > 1:
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=timedelta(days=30))
        dist.barrier()


def _train(run: Run, jobs: int, report: Report, stop: threading.Event) -> None:
    """Train in a process of its own."""
    if run.is_finished:
        report(run.folder, 1.0)
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    requested = run.folder / "requested.yaml"
    write_config(run.config, requested)
    command = [sys.executable, "-m", "equiseg", "train"]
    command += ["--config", str(requested), "--out", str(run.folder)]
    with (run.folder / LOG).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=_environment(run.config, jobs)
        )
        while process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                report(run.folder, float((run.folder / PROGRESS).read_text()))
            if stop.wait(_POLL_SECONDS):
                process.terminate()
                process.wait()
    report(run.folder, 1.0)


def _environment(config: TrainConfig, jobs: int) -> dict[str, str]:
    """What a run is told of its machine: its threads, and the GPU of its process of torchrun."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    threads = config.threads or max(1, (os.cpu_count() or 1) // (max(1, jobs) * here))
    environment = {k: v for k, v in os.environ.items() if k not in _RANK_VARIABLES}
    environment["OMP_NUM_THREADS"] = str(threads)
    if here > 1 and "CUDA_VISIBLE_DEVICES" not in environment:
        environment["CUDA_VISIBLE_DEVICES"] = os.environ["LOCAL_RANK"]
    return environment
