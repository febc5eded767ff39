"""The end of every command: errors, signals and closed pipes become messages and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TextIO

from equiseg.cli.errors import error_text

_ENDED = {"SIGTERM": "terminated", "SIGHUP": "its terminal was closed"}
_NO_READER = 128 + 13  # the status of shells after SIGPIPE


class Ended(SystemExit):
    """A signal asked the process to end; open files are finished or removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.why = _ENDED[signal.Signals(number).name]


@contextmanager
def one_door(name: str, line: str, resume: str) -> Iterator[None]:
    """Turn every end of a command into a message and an exit status.

    Args:
        name: The verb.
        line: The command, as it was typed.
        resume: The advice after an interruption; empty if there is nothing to resume.

    Raises:
        SystemExit: Instead of any error.
    """
    with _signals():
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            close_quietly(sys.stdout)
            sys.exit(_NO_READER)
        except Ended as end:
            _say(f"equiseg {name}: {end.why}{resume}")
            sys.exit(end.code)
        except KeyboardInterrupt:
            _say(f"equiseg {name}: interrupted{resume}")
            sys.exit(130)
        except Exception as error:
            told = f"equiseg {name}: {error_text(error, line, resume)}"
            with suppress(OSError):
                sys.stdout.flush()
            sys.exit(told)


def close_quietly(stream: TextIO) -> None:
    """Discard further output: its reader has closed the pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _signals() -> Iterator[None]:
    """End by an exception where a signal would end the process in the middle of a file.

    Only signals that nobody else handles: nohup ignores one, and a caller in Python may have its
    own. Processes forked from this one end at once, as they did before.
    """
    numbers = [getattr(signal, name) for name in _ENDED if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    mine = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    owner = os.getpid()

    def end(number: int, _: FrameType | None) -> NoReturn:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        for other in mine:  # a second signal must not interrupt the clean-up
            signal.signal(other, signal.SIG_IGN)
        raise Ended(number)

    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
