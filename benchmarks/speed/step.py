"""Time that the center collapse regularizer adds to a training step.

python -m benchmarks.speed.step [--threads N] [--rounds N]

Images 512x512, 150 classes, batch 2 in float32. The step is plain cross entropy at label size,
forward, backward and AdamW. The time of a branch is measured separately, forward, backward and
adding its gradient, because it is smaller than the spread of a step; the two take turns. Writes
benchmarks/results/step.json and prints the table.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import ratio, save, seconds, table
from benchmarks.speed.routes import IGNORED, published, regions
from equiseg import CenterCollapseLoss, FeatureTap, simplex_etf
from equiseg.losses import CrossEntropyLoss
from equiseg.models.build import build_model

CLASSES, SIZE = 150, 512


class PublishedBranch(nn.Module):
    """The published branch by its own method: features resized to label size, one-hot product."""

    def __init__(self, in_features: int, prior: Tensor) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(in_features, 128, 1), nn.BatchNorm2d(128))
        self.lift = nn.Linear(128, 512)
        self.requires_grad_(False)
        self.register_buffer("frame_KD", simplex_etf(CLASSES, 512))
        self.register_buffer("log_prior_K", prior.log())

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        centers_KD = published(self.reduce(features), labels, CLASSES, align_corners=True)
        points_KD = F.dropout(F.normalize(self.lift(centers_KD).relu(), dim=1), 0.1)
        present_K = torch.bincount(labels[labels != IGNORED], minlength=CLASSES) > 0
        logits_KK = 5 * points_KD @ self.frame_KD.T + self.log_prior_K
        return F.cross_entropy(logits_KK[present_K], present_K.nonzero().flatten())


def measure(name: str, batch: int, rounds: int) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(0)
    model = build_model(name, CLASSES).train()
    tap = FeatureTap(model, num_classes=CLASSES)
    pixel_loss = CrossEntropyLoss(CLASSES, ignore_index=IGNORED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    images = torch.rand(batch, 3, SIZE, SIZE)
    labels = regions(batch, CLASSES, SIZE)
    model(images)
    features = tap.features.detach().requires_grad_()
    features.grad = torch.zeros_like(features)
    prior = torch.full((CLASSES,), 0.1)
    options: dict[str, Any] = {"ignore_index": IGNORED}

    def step() -> None:
        optimizer.zero_grad()
        pixel_loss(model(images), labels).backward()
        optimizer.step()

    def alone(branch: nn.Module) -> Callable[[], None]:
        return lambda: branch(features, labels).backward()

    in_features = features.shape[1]
    functions = {
        "step": step,
        "ours": alone(CenterCollapseLoss(CLASSES, in_features, **options)),
        "published branch, our centers": alone(
            CenterCollapseLoss.published(CLASSES, in_features, prior=prior, weight=1.0, **options)
        ),
        "published branch": alone(PublishedBranch(in_features, prior)),
    }
    taken = seconds(functions, rounds=rounds)
    row: dict[str, Any] = {
        "model": name,
        "batch": batch,
        "features": "x".join(map(str, features.shape[1:])),
        "step s": statistics.median(taken["step"]),
    }
    for branch in list(functions)[1:]:
        row[f"{branch}: ms"] = 1e3 * statistics.median(taken[branch])
        row[f"{branch}: % of the step"] = 100 * ratio(taken[branch], taken["step"])
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [measure(name, 2, arguments.rounds) for name in ("segformer-b0", "upernet-swin-t")]
    print(save("step", rows))
    print(table(rows))
