"""Runs in parallel: processes on this machine, shared out over several machines by torchrun."""

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

import torch

from equiseg.foreign_files import FileError
from equiseg.ranks import Launch
from equiseg.records.run_result import PROGRESS, RESULT, read_result
from equiseg.runs.lock import held
from equiseg.runs.parent_watch import watched_environment
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import check_same, write_config

LOG = "output.log"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 30
_INTERRUPTED = (130, 143)  # by Ctrl-C, which a terminal sends to the runs too, or SIGTERM
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
        """Whether its folder holds the result of this configuration.

        Raises:
            FileError: If its configuration or its result is damaged.
            ValueError: If it holds a run of another configuration.
        """
        if not (self.folder / "config.yaml").exists():
            return False
        check_same(self.config, self.folder)
        if not (self.folder / RESULT).exists():
            return False
        read_result(self.folder)
        return True

    def damage(self) -> str:
        """The damaged record and the next step; empty if no record is damaged.

        Raises:
            ValueError: If it holds a run of another configuration.
        """
        try:
            _ = self.is_finished
        except FileError as error:
            return str(error)
        return ""

    @property
    def is_usable(self) -> bool:
        """Whether it is finished and its records are whole.

        Raises:
            ValueError: If it holds a run of another configuration.
        """
        try:
            return self.is_finished
        except FileError:
            return False


def reason_of(folder: Path) -> str:
    """Why a run failed, as its log ends."""
    log = folder / LOG
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    _, told, reason = text.rpartition("equiseg train: ")
    return reason.strip() if told else "it did not say why"


def train_all(runs: Sequence[Run], jobs: int, report: Report = lambda folder, share: None) -> None:
    """Train all unfinished runs, each in a process of its own.

    Finished runs are kept, interrupted ones resume; one that fails leaves its reason in
    ``output.log`` and does not stop the others, and one with damaged records is left as it is.
    Under torchrun the processes deal the runs out among themselves and wait for each other; each
    needs the same folder.

    Args:
        runs: What to train.
        jobs: Runs in parallel on each process of torchrun. They share its cores evenly,
            unless the configuration says how many ``threads`` each takes.
        report: Told the share of each run that is done, now and then; 1 when it ends.

    Raises:
        ValueError: Before anything starts, if a folder holds a run of another configuration or is
            being written to, or ``jobs`` is below 1.
        RuntimeError: After all others have finished, if the system killed a run: it has not failed,
            and may go on.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    rank, ranks, *_ = Launch.of_environment()
    ours = [run for run in runs[rank::ranks] if not run.damage()]
    for run in ours:
        if not run.is_finished and run.folder.is_dir():
            with held(run.folder):  # not by a run that outlived the command which began it
                pass
    stop = threading.Event()
    killed: list[Path] = []
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_train, run, jobs, report, stop): run for run in ours}
        try:
            for future in as_completed(futures):
                if future.result() < 0:
                    killed.append(futures[future].folder)
        except BaseException:
            stop.set()  # ends the running processes; what has not begun does not begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if ranks > 1:
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=timedelta(days=30))
        dist.barrier()
    if killed:
        raise RuntimeError(
            f"{len(killed)} of {len(ours)} runs were killed, {killed[0]} the first; if memory ran "
            "out, give fewer jobs. The same command resumes them"
        )


def _train(run: Run, jobs: int, report: Report, stop: threading.Event) -> int:
    """Train in a process of its own; its exit code, below 0 where the system killed it."""
    if run.is_finished:
        report(run.folder, 1.0)
        return 0
    run.folder.mkdir(parents=True, exist_ok=True)
    requested = run.folder / "requested.yaml"
    write_config(run.config, requested)
    command = [sys.executable, "-m", "equiseg", "train"]
    command += ["--config", str(requested), "--out", str(run.folder), "--page", "false"]
    with (run.folder / LOG).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends when this process does
            stdout=log,
            stderr=subprocess.STDOUT,
            env=watched_environment(_environment(run.config, jobs)),
        )
        while process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                report(run.folder, float((run.folder / PROGRESS).read_text()))
            if stop.wait(_POLL_SECONDS):
                _end(process)
    if process.stdin is not None:
        process.stdin.close()
    if not stop.is_set() and process.returncode not in _INTERRUPTED and process.returncode >= 0:
        report(run.folder, 1.0)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a run to end, so that it finishes or removes its files; kill it if it does not."""
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(config: TrainConfig, jobs: int) -> dict[str, str]:
    """Environment of a run: its threads, and the GPU of its process of torchrun."""
    launch = Launch.of_environment()
    here = launch.local_ranks
    threads = config.threads or max(1, _cores() // (jobs * here))
    environment = Launch.environment_alone()
    environment["OMP_NUM_THREADS"] = str(threads)
    if here > 1 and (devices := _devices()):
        environment["CUDA_VISIBLE_DEVICES"] = devices[launch.local_rank % len(devices)]
    return environment


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _devices() -> list[str]:
    """The GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in visible.split(",") if device]
    return [str(device) for device in range(torch.cuda.device_count())]
