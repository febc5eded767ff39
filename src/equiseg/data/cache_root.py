"""The folder for everything that equiseg keeps between runs and can make again."""

import os
from pathlib import Path


def cache_root() -> Path:
    """``$EQUISEG_CACHE``, or ``~/.cache/equiseg``; it need not exist."""
    return Path(os.environ.get("EQUISEG_CACHE") or "~/.cache/equiseg").expanduser()
