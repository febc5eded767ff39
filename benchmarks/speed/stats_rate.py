"""Speed of `equiseg stats` in masks per second, and its memory for different numbers of masks.

python -m benchmarks.speed.stats_rate [--links N]

PNG masks of 512x512 with 150 classes in a folder without images: 40 different ones, each under N
and under 8 N names, because memory must not grow with their number. Each row is a separate process;
its peak memory is the memory of the counting process, without workers. Context is regions,
neighbours and co-occurrence. Writes benchmarks/results/stats_rate.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from benchmarks.measure import save, table
from benchmarks.speed.routes import regions
from equiseg.data.images.masks import MaskFolder
from equiseg.data.statistics.counting import count_data

CLASSES, SIZE, DIFFERENT, PROJECTED = 150, 512, 40, 100_000


def make_masks(folder: Path, links: int) -> None:
    """Write different masks of regions, each under several names."""
    folder.mkdir()
    for index, labels_HW in enumerate(regions(DIFFERENT, CLASSES, SIZE)):
        mask = torch.where(labels_HW < 0, 255, labels_HW).to(torch.uint8).numpy()
        file = folder / f"{index:06d}_0.png"
        Image.fromarray(mask).save(file)
        for link in range(1, links):
            os.link(file, folder / f"{index:06d}_{link}.png")


def count(folder: Path, workers: int, context: bool) -> dict[str, float]:
    """Count a folder in this process: seconds, and peak megabytes."""
    start = time.perf_counter()
    data = MaskFolder(folder)
    counts = count_data(data, num_workers=workers, context=context)
    taken = time.perf_counter() - start
    assert counts.statistics.num_images == len(data)
    return {
        "masks": len(data),
        "seconds": taken,
        "peak MB": _peak_kilobytes() / 1024,
        "peak MB of a worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def _peak_kilobytes() -> int:
    """Peak memory of this process (Linux); getrusage would include the process that started it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM; memory is measured on Linux only")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", type=int, default=8)
    parser.add_argument("--count", nargs=3, help="for the processes that this one starts")
    arguments = parser.parse_args()
    if arguments.count:
        folder, workers, context = arguments.count
        print(json.dumps(count(Path(folder), int(workers), context == "yes")))
        sys.exit()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few", Path(name) / "many"
        make_masks(few, arguments.links)
        make_masks(many, 8 * arguments.links)
        for folder, workers, context in (
            (few, 0, "yes"),
            (many, 0, "yes"),
            (few, 2, "yes"),
            (many, 2, "yes"),
            (many, 2, "no"),
        ):
            command = [sys.executable, __file__, "--count", str(folder), str(workers), context]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            measured = json.loads(output)
            rate = measured["masks"] / measured.pop("seconds")
            row = {"workers": workers, "context": context, "masks": measured["masks"]}
            row |= {"masks a second": rate, "minutes for 100,000": PROJECTED / rate / 60}
            row |= {"peak MB": measured["peak MB"]}
            if workers:
                row["peak MB of a worker"] = measured["peak MB of a worker"]
            rows.append(row)
    print(save("stats_rate", rows, size=SIZE, classes=CLASSES))
    print(table(rows))
