"""Time and memory of functions in one process, and records of measurements."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from equiseg.runs.provenance import provenance

RESULTS_VARIABLE = "EQUISEG_BENCHMARK_RESULTS"
"""Environment variable that names another folder for results."""
RESULTS = Path(os.environ.get(RESULTS_VARIABLE) or Path(__file__).parent / "results")


def seconds(
    functions: Mapping[str, Callable[[], object]], *, rounds: int, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of each function in each round, after one call to warm up.

    The functions take turns within a round, so that a slowdown of the machine affects all of them:
    compare them round by round with :func:`ratio`.
    """
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            _wait(device)
            start = time.perf_counter()
            function()
            _wait(device)
            taken[name].append(time.perf_counter() - start)
    return taken


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """Median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def peak_extra_memory(function: Callable[[], object], device: str = "cpu") -> int:
    """Bytes that one call uses in addition to the memory before it, including its results.

    Measured by the resident pages of the process on a CPU (Linux), and by torch's allocator on a
    GPU.
    """
    gc.collect()
    if device != "cpu":
        _wait(device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        kept = function()
        _wait(device)
        del kept
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # return freed pages, so that new ones are counted
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    before = _resident("VmRSS")
    kept = function()
    del kept
    return _resident("VmHWM") - before


def save(name: str, rows: list[dict[str, Any]], **facts: Any) -> Path:
    """Write rows to benchmarks/results, with date and machine of the measurement."""
    path = RESULTS / f"{name}.json"
    head = provenance() | {"threads": torch.get_num_threads(), "cores": os.cpu_count()} | facts
    if torch.cuda.is_available():
        head["gpu"] = torch.cuda.get_device_name()
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    path.write_text(
        f'{{"measured": {json.dumps(head)},\n "rows": [\n{lines}\n]}}\n', encoding="utf-8"
    )
    return path


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; missing values are dashes."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(key)) for key in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _resident(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {key}; memory is measured on Linux only")


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
