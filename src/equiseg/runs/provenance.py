"""Provenance of results: versions, machine, commit, date."""

from __future__ import annotations

import contextlib
import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path


def provenance() -> dict[str, str]:
    """Date, versions, processor and, in a checkout, the commit."""
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **_versions("equiseg", "torch", "lightning"),
        "machine": _processor(),
    }
    package = Path(__file__).parents[1]
    try:
        if not _git(package, "ls-files", "--", "__init__.py"):
            return facts  # installed inside somebody else's repository
        commit = _git(package, "rev-parse", "--short", "HEAD")
        changed = _git(package, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return facts
    return facts | {"commit": commit + ("+changes" if changed else "")}


def _versions(*packages: str) -> dict[str, str]:
    """Those that are installed; a package on the path alone has no version."""
    versions = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
