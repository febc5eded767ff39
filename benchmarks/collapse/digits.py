"""Neural collapse in a known case: balanced classification of handwritten digits.

    python -m benchmarks.collapse.digits

A small network on the 1,797 digits of scikit-learn (8x8, ten classes of 174 to 183 images),
trained with cross entropy and weight decay far beyond zero training error, three seeds. Measured on
the training images, as in Papyan, Han and Donoho 2020. Writes collapse_digits.json in
benchmarks/results.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import save, table
from equiseg import CollapseMetric

SEEDS, CLASSES, DIM = (0, 1, 2), 10, 64
EPOCHS, BATCH = 300, 128
MEASURED = (1, 2, 4, 8, 16, 32, 64, 128, 200, 250, 300)


def digits() -> tuple[Tensor, Tensor]:
    """Images (N, 64) in [0, 1] and labels (N,)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)


def train(seed: int, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Train the network; returns a row of measures for each measured epoch."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(
        nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU(),
        nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(),
        nn.Linear(256, DIM), nn.BatchNorm1d(DIM), nn.ReLU(),
    )  # fmt: skip
    classifier = nn.Linear(DIM, CLASSES)
    network = nn.Sequential(encoder, classifier)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    rows = []
    for epoch in range(1, EPOCHS + 1):
        network.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
        if epoch in MEASURED:
            network.eval()
            with torch.no_grad():
                rows.append(measure(seed, epoch, encoder(images), labels, classifier))
    return rows


def measure(
    seed: int, epoch: int, features: Tensor, labels: Tensor, classifier: nn.Linear
) -> dict[str, Any]:
    """All measures of the features of one epoch; the second pass finds the nearest centers."""
    metric = CollapseMetric(CLASSES, DIM, classifier=classifier)
    metric.update(features, labels)
    again = CollapseMetric(CLASSES, DIM, classifier=classifier, centers=metric.centers_KD)
    again.update(features, labels)
    errors = float((classifier(features).argmax(1) != labels).double().mean())
    return {"seed": seed, "epoch": epoch, "training_error": errors, **again.compute().numbers()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    images, labels = digits()
    rows = [row for seed in SEEDS for row in train(seed, images, labels)]
    print(save("collapse_digits", rows))
    shown = ("seed", "epoch", "training_error", "nc1_ratio", "equinorm", "equiangularity")
    shown += ("etf_error", "self_duality", "nearest_center_agreement", "classifier_equiangularity")
    print(table([{key: row[key] for key in shown} for row in rows]))
