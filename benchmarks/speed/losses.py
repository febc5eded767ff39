"""Time of every loss in units of cross entropy: torch's, on logits of the size of the labels.

python -m benchmarks.speed.losses [--quick] [--rounds N] [--threads N]

Forward and backward in float32, for 19 and 150 classes: two label maps of 512x512 with a tenth of
the pixels ignored, logits of that size that mostly favour the true class, and for losses of
features 256 channels at a quarter of the size. All functions take turns. Takes a few
minutes. Writes benchmarks/results/losses.json and the line "Time" of every card in docs/losses, and
prints the table. --quick takes maps of 128x128, and writes nothing.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.docs.loss_times import CLASSES, CLASSIFIER, LOSSES, MONAI, UNIT, write_cards
from benchmarks.measure import ratio, save, seconds, table
from benchmarks.speed.routes import regions

BATCH, SIZE, QUICK_SIZE, CHANNELS, STRIDE, IGNORED = 2, 512, 128, 256, 4, 255


def build(loss: type[nn.Module], num_classes: int) -> nn.Module:
    """A loss with its defaults, and shares of the classes that fall as a power of the rank."""
    shares = torch.arange(1, num_classes + 1) ** -1.5
    values = {"num_classes": num_classes, "in_features": CHANNELS, "weight": 1.0}
    values |= dict.fromkeys(("prior", "class_counts", "class_weight"), shares)
    parameters = inspect.signature(loss).parameters.values()
    return loss(**{p.name: values[p.name] for p in parameters if p.default is p.empty})


def monai_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """The arithmetic of monai.losses.DiceLoss(softmax=True, to_onehot_y=True), batch by batch.

    It knows no ignored labels: they count as the last class.
    """
    chances = logits.softmax(1)
    ids = labels.clamp(max=logits.shape[1] - 1).unsqueeze(1)
    targets = torch.zeros_like(logits).scatter_(1, ids, 1)
    both = (targets * chances).sum((2, 3))
    return (1 - (2 * both + 1e-5) / (targets.sum((2, 3)) + chances.sum((2, 3)) + 1e-5)).mean()


def functions(num_classes: int, size: int) -> dict[str, Callable[[], None]]:
    """Forward and backward of every loss and of what it is compared with, by name."""
    generator = torch.Generator().manual_seed(0)
    labels = regions(BATCH, num_classes, size)
    true = F.one_hot(labels.clamp(min=0), num_classes).movedim(-1, 1)
    labels = torch.where(labels < 0, IGNORED, labels)
    logits = (torch.randn(true.shape, generator=generator) + 6 * true).requires_grad_()
    cells = size // STRIDE
    features = torch.randn(BATCH, CHANNELS, cells, cells, generator=generator).requires_grad_()
    classifier = nn.Conv2d(CHANNELS, num_classes, 1)

    def classify(features: Tensor, labels: Tensor) -> Tensor:
        resized = F.interpolate(classifier(features), labels.shape[1:], mode="bilinear")
        return F.cross_entropy(resized, labels, ignore_index=IGNORED)

    def step(loss: Callable[[Tensor, Tensor], Tensor], inputs: Tensor) -> Callable[[], None]:
        def run() -> None:
            inputs.grad = None
            loss(inputs, labels).backward()

        return run

    steps = {
        UNIT: step(lambda *batch: F.cross_entropy(*batch, ignore_index=IGNORED), logits),
        MONAI: step(monai_dice, logits),
        CLASSIFIER: step(classify, features),
    }
    for name, loss in LOSSES.items():
        built = build(loss, num_classes)
        steps[name] = step(built, features if hasattr(built, "in_features") else logits)
    return steps


def measure(num_classes: int, size: int, rounds: int) -> list[dict[str, Any]]:
    """One row a loss."""
    taken = seconds(functions(num_classes, size), rounds=rounds)
    return [
        {
            "loss": name,
            "classes": num_classes,
            "ms": 1e3 * statistics.median(values),
            "cross entropies": ratio(values, taken[UNIT]),
        }
        for name, values in taken.items()
    ]


def main() -> None:
    """Measure, save, write the cards and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = QUICK_SIZE if arguments.quick else SIZE
    rows = [row for classes in CLASSES for row in measure(classes, size, arguments.rounds)]
    if not arguments.quick:
        print(save("losses", rows))
        write_cards(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
