"""A forked process that does one thing after the other, within a time and a memory.

Everything is imported before the fork, so a new process costs milliseconds. What ends the process
(a signal, a library that aborts) is an outcome, and the next task gets a new one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 20.0
"""After these seconds of computing, or three times as many of waiting, a task hangs."""
_WAITING = 3  # on a busy machine a task that takes 10 s may wait as long again for a core
_GRACE = 10.0  # seconds more for code in C, which no alarm interrupts
MEMORY = 2 << 30
"""Peak bytes of the process, with torch and all libraries loaded."""
_ROOM = 6 << 30  # bytes of addresses above those in use: a request beyond them fails at once


class TooLongError(BaseException):
    """The alarm; no ``except Exception`` catches it."""


class Done(NamedTuple):
    """How a task ended.

    Attributes:
        how: "value", "error", "hang" or "abort".
        value: What the task returned, or the signal that ended the process.
        error: Names of the classes of the exception, its own first.
        message: Its text, or what the process wrote before it ended.
        where: The innermost lines of equiseg in the traceback.
        trace: The whole traceback.
        peak: Peak bytes of the process.
        seconds: Time taken.
    """

    how: str
    value: Any = None
    error: tuple[str, ...] = ()
    message: str = ""
    where: str = ""
    trace: str = ""
    peak: int = 0
    seconds: float = 0.0


class Worker:
    """A process that calls ``task(*arguments)``, renewed when it has ended.

    Args:
        task: Called in the forked process.
        output: A file for what the process prints.
    """

    def __init__(self, task: Callable[..., Any], output: Path) -> None:
        self.task, self.output = task, output
        self._process: Any = None

    def ask(self, *arguments: Any, seconds: float = SECONDS) -> Done:
        """Call the task and wait for its end."""
        if self._process is None:
            self._start()
        start = time.monotonic()
        try:
            self._pipe.send((arguments, seconds))
            if self._pipe.poll(_WAITING * seconds + _GRACE):
                return self._pipe.recv()._replace(seconds=time.monotonic() - start)
        except (EOFError, OSError):
            self._process.join()
            code, text = self._process.exitcode, self._printed()
            self.end()
            return Done("abort", code, message=text, seconds=time.monotonic() - start)
        self.end()
        return Done("hang", message="in a library", seconds=time.monotonic() - start)

    def end(self) -> None:
        """End the process and all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()
            self._pipe.close()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.task, self.output))
        self._process.start()
        theirs.close()

    def _printed(self) -> str:
        return self.output.read_bytes()[-600:].decode("utf-8", "replace")


def _serve(pipe: Any, task: Callable[..., Any], output: Path) -> None:
    os.setpgid(0, 0)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGPROF, _alarm)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _ROOM, hard))
    while True:
        try:
            arguments, seconds = pipe.recv()
        except EOFError:
            os._exit(0)
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)
        pipe.send(_tried(task, arguments, seconds))


def _tried(task: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Done:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, _WAITING * seconds)
        try:
            done = Done("value", task(*arguments))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TooLongError as error:
        done = Done("hang", where=place(error), trace=traceback.format_exc()[-4000:])
    except BaseException as error:
        names = tuple(kind.__name__ for kind in type(error).__mro__)
        trace = traceback.format_exc()[-4000:]
        try:
            message = str(error)
        except Exception:  # an error that cannot be shown
            message = ""
        done = Done("error", getattr(error, "code", None), names, message, place(error), trace)
    return done._replace(peak=_status("VmHWM"))


def _alarm(*_: object) -> None:
    raise TooLongError


def place(error: BaseException) -> str:
    """The last two lines of equiseg, or of its libraries, that were running."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/equiseg/" in f.filename] or list(frames)
    shown = []
    for frame in ours[-2:]:
        file = frame.filename.rpartition("/equiseg/")[2]
        shown.append(f"{file}:{frame.name}")
    last = frames[-1] if frames else None
    if last is not None and last not in ours:
        shown.append(f"{'/'.join(Path(last.filename).parts[-2:])}:{last.name}")
    return " > ".join(shown)


def _status(name: str) -> int:
    """A size of this process in bytes, as Linux tells it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise RuntimeError(f"/proc/self/status has no {name}; memory is measured on Linux only")


def import_everything() -> None:
    """Import all that a verb may need, so that forked processes have it."""
    import importlib
    import pkgutil

    import equiseg

    for info in pkgutil.walk_packages(equiseg.__path__, "equiseg."):
        # No verb needs the kernels for GPUs.
        if not info.name.endswith(("__main__", "triton_sums")):
            importlib.import_module(info.name)
    import lightning  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import scipy.spatial  # noqa: F401
    import torch

    torch.set_num_threads(1)
    sys.setrecursionlimit(1000)
