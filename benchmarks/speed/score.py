"""Time of an update of each metric, compared with torchmetrics' confusion matrix.

python -m benchmarks.speed.score [--threads N] [--rounds N]

150 classes, four predicted masks of 512x512. Both check their input, their default; "no checks" is
torchmetrics with validate_args=False. Predictions are wrong at one pixel of a hundred, each alone.
Writes benchmarks/results/score.json.
"""

from __future__ import annotations

import argparse
import statistics

import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from benchmarks.measure import ratio, save, seconds, table
from benchmarks.speed.routes import regions
from equiseg import BoundaryScore, ImageScore, ObjectScore, SegmentationScore

CLASSES, BATCH, SIZE = 150, 4, 512

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    labels = regions(BATCH, CLASSES, SIZE)
    labels = torch.where(labels < 0, 255, labels)
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(labels.shape, generator=generator) < 0.01
    guesses = torch.randint(0, CLASSES, labels.shape, generator=generator)
    predictions = torch.where(wrong | (labels == 255), guesses, labels)
    metrics = {
        "equiseg": SegmentationScore(CLASSES),
        "equiseg, objects": ObjectScore(CLASSES),
        "equiseg, boundaries": BoundaryScore(CLASSES),
        "equiseg, images": ImageScore(CLASSES),
        "torchmetrics": MulticlassConfusionMatrix(CLASSES, ignore_index=255),
        "torchmetrics, no checks": MulticlassConfusionMatrix(
            CLASSES, ignore_index=255, validate_args=False
        ),
    }
    taken = seconds(
        {
            name: lambda metric=metric: metric.update(predictions, labels)
            for name, metric in metrics.items()
        },
        rounds=arguments.rounds,
    )
    if not torch.equal(metrics["equiseg"].confusion_KK, metrics["torchmetrics"].confmat):
        raise RuntimeError("the two count differently")
    rows = [
        {
            "metric": name,
            "update ms": 1e3 * statistics.median(values),
            "times equiseg's": ratio(values, taken["equiseg"]),
        }
        for name, values in taken.items()
    ]
    print(save("score", rows))
    print(table(rows))
