"""Class centers by several methods: time and extra memory of forward and backward.

python -m benchmarks.speed.centers [--threads N] [--rounds N] [--quick]

Features 128x128 under labels 512x512. Writes benchmarks/results/centers.json (centers_quick.json
for the few cases of --quick) and prints the table; "ready" does not include the label side, for the
case that a data worker computes it. The published method runs if it fits into a third of the free
memory and about ten seconds; otherwise its memory is computed by formula, marked ~. Memory includes
the gradient of the features. Noise labels, with every pixel drawn independently, are the worst
case. "volumes" are 32x32x32 features under 128x128x128 labels, "compiled" is ours under
torch.compile. The floor is the time of this machine to copy the features, their gradient and (not
for "ready") the labels, once each.
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
from benchmarks.speed.growth import copy_bandwidth
from benchmarks.speed.routes import IGNORED, nearest, ours, published, published_bytes, regions
from equiseg import label_side

SMALL, LARGE = 128, 512
_LONGEST = 10.0  # seconds of one call of the published route
_CORE_FLOPS = 3e10  # approximate, on one core: only to predict what would take too long


def measure(
    batch: int, dim: int, classes: int, rounds: int, bandwidth: float, *, labelled: str = "regions"
) -> dict[str, Any]:
    """One row of the table."""
    axes = 3 if labelled == "volumes" else 2
    small, large = (32, 128) if labelled == "volumes" else (SMALL, LARGE)
    size = (small,) * axes
    features = torch.randn(batch, dim, *size, requires_grad=True)
    labels = regions(batch, classes, large, axes=axes)
    if labelled == "noise":
        labels = torch.randint(0, classes, labels.shape)
    side = label_side(labels, classes, size, ignore_index=IGNORED)

    def step(route: Callable[..., Tensor], *more: Any) -> Callable[[], object]:
        def run() -> Tensor:
            features.grad = None
            centers_KD = route(features, labels, classes, *more)
            centers_KD.backward(torch.ones_like(centers_KD))
            return centers_KD

        return run

    torch.compiler.reset()
    compiled = torch.compile(ours, fullgraph=True, dynamic=False)
    steps = {
        "ours": step(ours),
        "ready": step(ours, side),
        "compiled": step(compiled),
        "nearest": step(nearest),
    }
    pixels, valid = labels.numel(), int((labels != IGNORED).sum())
    expected_bytes = published_bytes(pixels, valid, dim, classes)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    flops = 4 * valid * dim * classes / torch.get_num_threads()
    runs = axes == 2 and expected_bytes < free / 3 and flops < _LONGEST * _CORE_FLOPS
    if runs:
        steps["published"] = step(published)
    taken = seconds(steps, rounds=rounds)
    row: dict[str, Any] = {
        "labels": labelled,
        "batch": batch,
        "D": dim,
        "K": classes,
        "classes a cell": len(side.class_E) / (batch * small**axes),
    }
    for name, values in taken.items():
        row[f"{name} ms"] = 1e3 * statistics.median(values)
    moved = 2 * features.nbytes / bandwidth
    row["floor ms"] = 1e3 * (moved + labels.nbytes / bandwidth)
    row["times floor"] = row["ours ms"] / row["floor ms"]
    row["ready, times floor"] = row["ready ms"] / (1e3 * moved)
    row["compiled over ours"] = ratio(taken["compiled"], taken["ours"])
    row["ours over nearest"] = ratio(taken["ours"], taken["nearest"])
    for name, function in steps.items():
        features.grad = None
        row[f"{name} MB"] = peak_extra_memory(function) / 1e6
    if runs:
        row["times faster"] = ratio(taken["published"], taken["ours"])
        row["ready, times faster"] = ratio(taken["published"], taken["ready"])
        row["times smaller"] = row["published MB"] / row["ours MB"]
    elif axes == 2:
        row["published MB"] = f"~{expected_bytes / 1e6:.0f}"
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="only a few cases")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    grid = itertools.product((2, 4, 16), (64, 128, 256, 512), (19, 150, 171, 1000))
    bandwidth = copy_bandwidth()
    main_case = (4, 128, 150)
    cases = [main_case] if arguments.quick else list(grid)
    work = [(case, "regions") for case in cases]
    work += [(main_case, "noise"), ((4, 128, 19), "regions"), ((1, 64, 20), "volumes")]
    rows = []
    for case, labelled in work:
        rows.append(measure(*case, arguments.rounds, bandwidth, labelled=labelled))
        print(rows[-1], flush=True)
        path = save(
            "centers_quick" if arguments.quick else "centers",
            rows,
            copy_GB_per_s=bandwidth / 1e9,
        )
    print(path)
    print(table(rows))
