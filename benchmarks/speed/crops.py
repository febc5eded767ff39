"""Cost of crops by class and of copy-paste, and their effect on the rarest class.

    python -m benchmarks.speed.crops --root FOLDER_OF_CAMVID [--draws N]

Built-in pictures in crops of 64x96 and CamVid in crops of 256x256: milliseconds of one core per
crop with all images in memory, and the share of the rarest class among the labelled pixels. Writes
benchmarks/results/crops.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.measure import save, table
from equiseg.data.config import DataConfig
from equiseg.data.images.transforms import AugmentConfig
from equiseg.data.loading import TrainingView
from equiseg.imbalance import ClassStatistics
from equiseg.labels import count_labels
from equiseg.training.opened_data import open_data

WAYS: dict[str, dict[str, float]] = {
    "at random": {},
    "by class": {"rare": 0.5},
    "pasted into": {"paste": 0.5},
}


def measure(name: str, data: DataConfig, draws: int) -> list[dict[str, Any]]:
    """A row for each way to crop."""
    opened = open_data(data)
    train = opened.splits["train"]
    num_classes = len(train.classes)
    counts_SK = torch.stack([count_labels(sample.labels, num_classes) for sample in train])
    rarest = int(opened.statistics.pixels_K.argmin())
    rows = []
    for way, changes in WAYS.items():
        view = TrainingView(train, replace(data.augment, **changes), 0, counts_SK)
        drawn = ClassStatistics.zeros(num_classes)
        seconds = 0.0
        for key in range(draws):
            start = time.perf_counter()
            _, labels = view[key]
            seconds += time.perf_counter() - start
            drawn.add(labels, ignore_index=train.ignore_index)
        share = float(drawn.pixels_K[rarest] / drawn.pixels_K.sum())
        rows.append(
            {
                "data": name,
                "crop": way,
                "ms": 1000 * seconds / draws,
                f"{train.classes[rarest]}, %": 100 * share,
            }
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--draws", type=int, default=6000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crops = AugmentConfig(crop=(256, 256))
    small = AugmentConfig(crop=(64, 96))
    rows = measure("built-in scenes", DataConfig(augment=small), arguments.draws)
    rows += measure("camvid", DataConfig("camvid", arguments.root, augment=crops), arguments.draws)
    print(save("crops", rows, unit="milliseconds of one core"))
    print(table(rows))
