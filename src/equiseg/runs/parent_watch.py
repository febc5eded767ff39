"""A process that ends with the one that started it, even if that was killed.

The child reads its standard input, a pipe of which the parent has the other end. However the parent
ends, the system closes the pipe, on every system.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping

_VARIABLE = "EQUISEG_ENDS_WITH_PARENT"
_GRACE_SECONDS = 20  # to finish a file; unfinished files are swept at the next start


def watched_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that ends with this process; give it ``stdin=PIPE`` too.

    Args:
        environment: Its other variables.
    """
    return {**environment, _VARIABLE: str(os.getpid())}


def end_with_parent() -> None:
    """End this process when its parent does, if the parent asked for it."""
    if os.environ.pop(_VARIABLE, None) is None:
        return
    threading.Thread(target=_watch, name="parent watch", daemon=True).start()


def _watch() -> None:
    stream = sys.__stdin__
    descriptor = 0 if stream is None else stream.fileno()
    try:
        while os.read(descriptor, 1024):
            pass
    except OSError:
        return  # nothing to watch
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)
