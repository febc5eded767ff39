"""Growth of the cost of class centers with pixels, dimensions, classes and ranks.

python -m benchmarks.speed.growth [--threads N] [--rounds N]

Around batch 4, D 128, K 150, features 128x128 under labels 512x512, one size is varied at a time;
forward and backward. The exponent is the slope of a line fit of log time (or memory) over log size:
1 is proportional, 0 is constant. The floor is the time of this machine to copy the necessary bytes:
the labels, the features and the gradient of the features, once each. Ranks are gloo processes on
this machine. Writes benchmarks/results/growth.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.measure import peak_extra_memory, save, seconds, table
from benchmarks.speed.routes import ours, regions
from equiseg.ranks import sum_over_ranks

START = {"size": 512, "D": 128, "K": 150}
VARIED = {
    "size": (128, 256, 512, 1024),
    "D": (32, 64, 128, 256, 512),
    "K": (19, 150, 1000, 10_000),
}
BATCH, STRIDE = 4, 4
RANK_ROUNDS = 20


def cost(size: int, D: int, K: int, rounds: int, bandwidth: float) -> dict[str, Any]:
    """Time and memory of one configuration, and its floor."""
    features = torch.randn(BATCH, D, size // STRIDE, size // STRIDE, requires_grad=True)
    # The density of regions is the same at every size: a larger image shows more regions.
    labels = regions(BATCH, K, size, per_image=max(10, 40 * size**2 // 512**2))

    def step() -> None:
        features.grad = None
        centers_KD = ours(features, labels, K)
        centers_KD.backward(torch.ones_like(centers_KD))

    taken = statistics.median(seconds({"step": step}, rounds=rounds)["step"])
    features.grad = None
    memory = peak_extra_memory(step)
    floor = (2 * 4 * features.numel() + 8 * labels.numel()) / bandwidth
    return {"ms": 1e3 * taken, "MB": memory / 1e6, "times the floor": taken / floor}


def copy_bandwidth() -> float:
    """Bytes per second of a large copy, read and written bytes together."""
    source = torch.ones(2**26)
    target = torch.empty_like(source)
    taken = seconds({"copy": lambda: target.copy_(source)}, rounds=9)["copy"]
    return 2 * 4 * source.numel() / statistics.median(taken)


def exponents(rows: list[dict[str, Any]], varied: str) -> dict[str, Any]:
    """Slopes of log time and log memory over the log of the varied size, pixels for sizes."""
    sizes = np.log([float(row[varied]) ** (2 if varied == "size" else 1) for row in rows])
    slopes = {
        key: float(np.polyfit(sizes, np.log([r[key] for r in rows]), 1)[0]) for key in ("ms", "MB")
    }
    return {
        "varied": "pixels" if varied == "size" else varied,
        "time ~": slopes["ms"],
        "memory ~": slopes["MB"],
    }


def time_ranks(rank: int, world: int, folder: str) -> None:
    """One rank's share of the all-reduce, forward and backward, timed on rank 0."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/{world}", rank=rank, world_size=world
    )
    sums_KD = torch.randn(START["K"], START["D"], requires_grad=True)
    counts_K = torch.ones(START["K"], dtype=torch.int64)

    def step() -> None:
        sums_over_ranks, _ = sum_over_ranks(sums_KD, counts_K, dist.group.WORLD)
        sums_over_ranks.sum().backward()

    taken = statistics.median(seconds({"step": step}, rounds=RANK_ROUNDS)["step"])
    if rank == 0:
        Path(folder, f"{world}.txt").write_text(str(taken), encoding="ascii")
    dist.destroy_process_group()


def ranks(world: int) -> dict[str, Any]:
    """Time and bytes of the all-reduce of one step."""
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(time_ranks, (world, folder), nprocs=world, start_method="spawn")
        taken = float(Path(folder, f"{world}.txt").read_text(encoding="ascii"))
    moved = 4 * START["K"] * (2 * START["D"] + 2)
    return {"ranks": world, "ms": 1e3 * taken, "bytes reduced": moved}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bandwidth = copy_bandwidth()
    rows, fits = [], []
    for varied, sizes in VARIED.items():
        some = []
        for size in sizes:
            case = START | {varied: size}
            some.append(case | cost(**case, rounds=arguments.rounds, bandwidth=bandwidth))
        rows += some
        fits.append(exponents(some, varied))
    rank_rows = [ranks(world) for world in (1, 2, 4)]
    facts = {"exponents": fits, "ranks": rank_rows, "copy_GB_per_s": bandwidth / 1e9}
    print(save("growth", rows, **facts))
    print(table(rows), table(fits), table(rank_rows), sep="\n\n")
