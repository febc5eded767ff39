"""A run ends with the command that started it, however that ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

CHILD = """
import time
from equiseg.runs.parent_watch import end_with_parent
end_with_parent()
print("watching", flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys, time
from equiseg.runs.parent_watch import watched_environment
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=watched_environment(os.environ),
)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="the test reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_of_a_killed_process_ends(number: signal.Signals):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    for _ in range(300):
        if not is_running(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_nothing_is_watched_without_a_parent_that_asks(monkeypatch: pytest.MonkeyPatch):
    from equiseg.runs import parent_watch

    monkeypatch.delenv("EQUISEG_ENDS_WITH_PARENT", raising=False)
    monkeypatch.setattr(parent_watch, "_watch", lambda: pytest.fail("watches"))
    parent_watch.end_with_parent()
