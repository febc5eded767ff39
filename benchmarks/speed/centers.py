"""Class centers by three methods: time and extra memory of forward and backward.

python -m benchmarks.speed.centers [--threads N] [--rounds N] [--quick]

Features 128x128 under labels 512x512. Writes benchmarks/results/centers.json (centers_quick.json
for the one case of --quick) and prints the table; "ready" does not include the label side, for the
case that a data worker computes it. The published method runs if it fits into a third of the free
memory and about ten seconds; otherwise its memory is computed by formula, marked ~. Memory includes
the gradient of the features. Noise labels, with every pixel drawn independently, are the worst
case.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import peak_extra_memory, ratio, save, seconds, table
from benchmarks.speed.routes import IGNORED, nearest, ours, published, published_bytes, regions
from equiseg import label_side

SMALL, LARGE = 128, 512
_LONGEST = 10.0  # seconds of one call of the published route
_CORE_FLOPS = 3e10  # approximate, on one core: only to predict what would take too long


def measure(batch: int, dim: int, classes: int, rounds: int, *, noise: bool) -> dict[str, Any]:
    """One row of the table."""
    features = torch.randn(batch, dim, SMALL, SMALL, requires_grad=True)
    labels = regions(batch, classes, LARGE)
    if noise:
        labels = torch.randint(0, classes, labels.shape)
    side = label_side(labels, classes, (SMALL, SMALL), ignore_index=IGNORED)

    def step(route: Callable[..., Tensor], *more: Any) -> Callable[[], object]:
        def run() -> Tensor:
            features.grad = None
            centers_KD = route(features, labels, classes, *more)
            centers_KD.backward(torch.ones_like(centers_KD))
            return centers_KD

        return run

    steps = {"ours": step(ours), "ready": step(ours, side), "nearest": step(nearest)}
    pixels, valid = labels.numel(), int((labels != IGNORED).sum())
    expected_bytes = published_bytes(pixels, valid, dim, classes)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    flops = 4 * valid * dim * classes / torch.get_num_threads()
    runs = expected_bytes < free / 3 and flops < _LONGEST * _CORE_FLOPS
    if runs:
        steps["published"] = step(published)
    taken = seconds(steps, rounds=rounds)
    row: dict[str, Any] = {
        "labels": "noise" if noise else "regions",
        "batch": batch,
        "D": dim,
        "K": classes,
        "classes a cell": len(side.class_E) / (batch * SMALL**2),
    }
    for name, values in taken.items():
        row[f"{name} ms"] = 1e3 * statistics.median(values)
    for name, function in steps.items():
        features.grad = None
        row[f"{name} MB"] = peak_extra_memory(function) / 1e6
    if runs:
        row["times faster"] = ratio(taken["published"], taken["ours"])
        row["ready, times faster"] = ratio(taken["published"], taken["ready"])
        row["times smaller"] = row["published MB"] / row["ours MB"]
    else:
        row["published MB"] = f"~{expected_bytes / 1e6:.0f}"
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="only batch 4, D 128, K 150")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    grid = itertools.product((2, 4, 16), (64, 128, 256, 512), (19, 150, 171, 1000))
    rows = []
    for case in [(4, 128, 150)] if arguments.quick else grid:
        for noise in (False, True) if case == (4, 128, 150) else (False,):
            rows.append(measure(*case, arguments.rounds, noise=noise))
            print(rows[-1], flush=True)
            path = save("centers_quick" if arguments.quick else "centers", rows)
    print(path)
    print(table(rows))
