"""Running checks: each compares an error with the largest allowed, and is a row of its section."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable

import torch

from benchmarks.gpu.section import Section

EXACT = 0.0
Result = tuple[float, float]  # the error, and the largest allowed
Check = Callable[[], Result]
_COMPILE_SECONDS = 25  # torch.compile on a GPU, the first time


class MissingError(Exception):
    """The check needs something that this machine lacks."""


def run_checks(section: Section, checks: Iterable[tuple[str, Check]]) -> None:
    """Run all checks; a failed check does not stop the others."""
    for name, check in checks:
        compiles = "compile" in name and section.device == "cuda"
        if not section.fits(name, _COMPILE_SECONDS if compiles else 1):
            continue
        try:
            error, allowed = check()
        except MissingError as missing:
            section.skipped.append(f"{name}: {missing}")
        except Exception as failure:
            section.add({"check": name, "passed": False, "note": str(failure).split("\n")[0][:160]})
            section.facts[f"traceback of {name}"] = traceback.format_exc().splitlines()[-25:]
        else:
            row = {"check": name, "passed": error <= allowed, "error": error, "allowed": allowed}
            section.add(row)
    failed = [row["check"] for row in section.rows if not row["passed"]]
    section.facts["failed"] = failed or "none"


def without_waiting(device: str, step: Callable[[], object]) -> Result:
    """Run the step again; every wait for the device is an error."""
    if device != "cuda":
        raise MissingError("needs cuda")
    step()  # the first call prepares and may wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return 0.0, EXACT
