"""Class centers by three routes: forward and backward, time and extra memory.

python benchmarks/centers.py [--threads N] [--quick]

Features 128x128 under labels 512x512. Writes benchmarks/results/centers.json and prints the table;
"ready" leaves the label side out, as where a data worker makes it. The published route is run
where it fits into a third of the free memory and about half a minute; elsewhere its memory is the
formula's, marked ~. Bytes of the gradient of the features are in every route's memory.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
from collections.abc import Callable
from typing import Any

import torch
from measure import peak_extra_memory, ratio, save, seconds, table
from routes import IGNORED, nearest, ours, published, published_bytes, regions
from torch import Tensor

from equiseg import label_side

SMALL, LARGE = 128, 512
_LONGEST = 30.0  # seconds of one call of the published route
_CORE_FLOPS = 3e10  # a second on one core, roughly: only to tell what would take too long


def measure(batch: int, dim: int, classes: int, rounds: int) -> dict[str, Any]:
    """One row of the table."""
    features = torch.randn(batch, dim, SMALL, SMALL, requires_grad=True)
    labels = regions(batch, classes, LARGE)
    side = label_side(labels, classes, (SMALL, SMALL), ignore_index=IGNORED)
    pixels = labels.numel()

    def step(route: Callable[..., Tensor], *more: Any) -> Callable[[], object]:
        def run() -> Tensor:
            features.grad = None
            centers_KD = route(features, labels, classes, *more)
            centers_KD.backward(torch.ones_like(centers_KD))
            return centers_KD

        return run

    steps = {"nearest": step(nearest), "ours": step(ours), "ready": step(ours, side)}
    expected_bytes = published_bytes(pixels, dim, classes)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    flops = 6 * pixels * dim * classes / torch.get_num_threads()
    runs = expected_bytes < free / 3 and flops < _LONGEST * _CORE_FLOPS
    taken = seconds(steps, rounds=rounds)
    row: dict[str, Any] = {"batch": batch, "D": dim, "K": classes}
    if runs:
        some = seconds({"published": step(published), "ours": steps["ours"]}, rounds=3)
        row["published s"] = statistics.median(some["published"])
        features.grad = None
        row["published MB"] = peak_extra_memory(step(published)) / 1e6
        times = ratio(some["published"], some["ours"])
    else:
        row["published MB"] = f"~{expected_bytes / 1e6:.0f}"
    for name, rounds_taken in taken.items():
        row[f"{name} ms"] = 1e3 * statistics.median(rounds_taken)
    features.grad = None
    row["ours MB"] = peak_extra_memory(steps["ours"]) / 1e6
    if runs:
        row["times faster"] = times
        row["ready, times faster"] = times * ratio(taken["ours"], taken["ready"])
        row["times smaller"] = row["published MB"] / row["ours MB"]
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="only batch 4, D 128, K 150")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    grid = itertools.product((2, 4, 16), (64, 128, 256, 512), (19, 150, 171, 1000))
    rows = []
    for case in [(4, 128, 150)] if arguments.quick else grid:
        rows.append(measure(*case, arguments.rounds))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    if not arguments.quick:
        print(save("centers", rows, entries_per_cell=1.19))
    print(table(rows))
