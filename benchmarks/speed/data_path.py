"""Images per second that one worker reads and augments.

python -m benchmarks.speed.data_path --root FOLDER_OF_CAMVID [--images N]

CamVid at its own size and at 240x180: decoding and resizing (the first pass over the data),
augmentation from the cache (every later pass), and both (no cache). One thread without worker
processes; several workers multiply the speed. Writes benchmarks/results/data_path.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

from benchmarks.measure import save, table
from equiseg.data.config import DataConfig
from equiseg.data.loading import TrainingView
from equiseg.training.opened_data import open_data


def rate(view: Any, keys: range) -> float:
    """Items per second: the median of three passes."""
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        for key in keys:
            view[key]
        rates.append(len(keys) / (time.perf_counter() - start))
    return statistics.median(rates)


def measure(root: str, size: tuple[int, int] | None, images: int) -> dict[str, Any]:
    """One row of the table."""
    cached = open_data(DataConfig("camvid", root, size)).splits["train"]
    uncached = open_data(DataConfig("camvid", root, size, cache_gb=0)).splits["train"]
    config = DataConfig().augment
    keys = range(min(images, len(cached)))
    shape = "x".join(map(str, uncached[0].labels.shape))
    decode = rate(uncached, keys)
    return {
        "image": shape,
        "decode and resize": decode,
        "augment from the cache": rate(TrainingView(cached, config, 0), keys),
        "decode and augment": rate(TrainingView(uncached, config, 0), keys),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(arguments.root, size, arguments.images) for size in (None, (180, 240))]
    print(save("data_path", rows, unit="images a second and worker"))
    print(table(rows))
