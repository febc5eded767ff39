"""The end of a process is an outcome, and the next task gets a new one."""

import os
import signal
import time

import pytest
from benchmarks.robustness.worker import Worker


def task(what):
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fails":
        print("printed before")
        raise KeyError("a key")
    if what == "waits":
        time.sleep(60)
    if what == "computes":
        while True:
            pass
    if what == "takes memory":
        return len(bytearray(1 << 29))
    return what


@pytest.fixture
def worker(tmp_path):
    made = Worker(task, tmp_path / "printed.txt")
    yield made
    made.end()


def test_values_and_errors(worker, tmp_path):
    assert worker.ask("x").value == "x"
    done = worker.ask("fails")
    assert (done.how, done.error[0]) == ("error", "KeyError")
    assert "test_worker.py:task" in done.where


def test_a_signal_is_an_abort_and_the_next_task_goes_on(worker):
    assert worker.ask("dies")[:2] == ("abort", -signal.SIGKILL)
    assert worker.ask("x").value == "x"


@pytest.mark.parametrize("what", ["waits", "computes"])
def test_a_hang_is_ended(worker, what):
    assert worker.ask(what, seconds=0.2).how == "hang"
    assert worker.ask("x").value == "x"


def test_the_peak_of_memory_is_that_of_the_task(worker):
    most = worker.ask("takes memory").peak
    assert most > 1 << 29
    assert worker.ask("x").peak < most
