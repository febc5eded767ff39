"""CamVid and a small network that has seen some of it, for the benchmarks of whole commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from equiseg.data.class_looks import ClassLooks
from equiseg.data.config import DataConfig
from equiseg.data.loading import TrainingView
from equiseg.data.sources import open_split
from equiseg.imbalance import FrequencyGroups
from equiseg.models import build_model
from equiseg.runs.weights import ModelCard, save_weights

NETWORK = "fpn-lite0"
_STEPS, _BATCH = 24, 4


def photos(root: Path, split: str, number: int) -> list[Path]:
    """The first photos of a split.

    Args:
        root: The folder of CamVid.
        split: The split.
        number: How many.
    """
    return sorted((root / "images" / split).iterdir())[:number]


def few_photos(root: Path, folder: Path, **numbers: int) -> Path:
    """Copy the first photos of some splits, with their masks.

    Args:
        root: The folder of CamVid.
        folder: The folder of the copy.
        **numbers: How many of each split.

    Returns:
        The folder, a data set like the first.
    """
    for split, number in numbers.items():
        for kind in ("images", "annotations"):
            target = folder / kind / split
            target.mkdir(parents=True)
            for file in sorted((root / kind / split).iterdir())[:number]:
                shutil.copy(file, target)
    return folder


def trained_network(root: Path) -> nn.Module:
    """The network after a few steps: its masks have the smooth regions of a trained one."""
    torch.manual_seed(0)
    data = open_split(DataConfig("camvid", str(root)), "train")
    view = TrainingView(data, DataConfig().augment, seed=0)
    model = build_model(NETWORK, len(data.classes)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(_STEPS):
        pairs = [view[step * _BATCH + place] for place in range(_BATCH)]
        images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        logits = F.interpolate(model(images), labels.shape[1:], mode="bilinear")
        loss = F.cross_entropy(logits, labels, ignore_index=data.ignore_index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def write_weights(root: Path, path: Path) -> None:
    """Write the weights of :func:`trained_network` as ``equiseg train`` does.

    Args:
        root: The folder of CamVid.
        path: The file.
    """
    data = open_split(DataConfig("camvid", str(root)), "train")
    classes = tuple(data.classes)
    groups = FrequencyGroups.from_counts(torch.arange(len(classes), 0, -1))
    looks = ClassLooks.plain(len(classes))
    card = ModelCard(NETWORK, classes, data.ignore_index, None, groups, looks=looks)
    save_weights(trained_network(root), card, path)
