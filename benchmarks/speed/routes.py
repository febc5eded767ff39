"""Methods to compute class centers from a feature map and full-size labels, and test labels.

Each method is a function of (features, labels, num_classes) and returns (K, D) centers.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg import LabelSide, class_centers
from equiseg.labels import count_labels

IGNORED = -1  # 255 is a class if there are a thousand classes


def published(
    features: Tensor, labels: Tensor, num_classes: int, *, align_corners: bool = False
) -> Tensor:
    """Features resized to label size, times a one-hot matrix of the valid pixels."""
    maps = F.interpolate(features, labels.shape[1:], mode="bilinear", align_corners=align_corners)
    valid = labels != IGNORED
    rows = maps.permute(0, 2, 3, 1)[valid]
    one_hot = F.one_hot(labels[valid], num_classes).to(rows.dtype)
    return one_hot.T @ rows / one_hot.sum(0).clamp(min=1).unsqueeze(1)


def nearest(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Labels resized to the features by nearest neighbour, which gives different centers."""
    small = F.interpolate(labels.unsqueeze(1).float(), features.shape[2:], mode="nearest")
    return ours(features, small.squeeze(1).long(), num_classes)


def ours(
    features: Tensor, labels: Tensor, num_classes: int, side: LabelSide | None = None
) -> Tensor:
    """Exact centers from the small map; computes the label side unless it is given."""
    return class_centers(
        features, labels, num_classes, ignore_index=IGNORED, label_side=side
    ).centers_KD


def fused(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Exact centers from the Triton kernels, which make no dense label side."""
    from equiseg.centers.triton_sums import triton_sums

    counts_K = count_labels(labels, num_classes, ignore_index=IGNORED)
    return triton_sums(features, labels, num_classes) / counts_K.clamp(min=1).unsqueeze(1)


def fused_runs(device: str) -> bool:
    """Whether :func:`fused` runs here: on a GPU with triton, or under Triton's interpreter."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return find_spec("triton") is not None and (device == "cuda" or interpreted)


def published_bytes(pixels: int, valid: int, dim: int, num_classes: int) -> int:
    """Peak memory of the published method: one-hot as int64 and as float32, the resized
    features of all pixels, and the rows of the valid ones."""
    return 12 * num_classes * valid + 4 * dim * (pixels + valid)


def regions(
    batch: int, num_classes: int, size: int, *, seed: int = 0, per_image: int = 40, axes: int = 2
) -> Tensor:
    """(B, H, W) labels of straight-edged regions of one class each; a tenth of the pixels is
    ignored.

    With 40 of them in 512x512 there are about as many borders as in photographs of streets. With
    three axes, (B, Z, H, W).
    """
    generator = torch.Generator().manual_seed(seed)
    places = torch.meshgrid(*[torch.arange(size, dtype=torch.float32)] * axes, indexing="ij")
    images = []
    for _ in range(batch):
        centers = torch.rand(per_image, axes, generator=generator) * size
        classes = torch.randint(0, num_classes, (per_image,), generator=generator)
        classes[: per_image // 10] = IGNORED
        labels = torch.empty(places[0].shape, dtype=torch.int64)
        nearest_yet = torch.full(places[0].shape, torch.inf)
        for center, class_ in zip(centers, classes, strict=True):
            distances = sum((place - at) ** 2 for place, at in zip(places, center, strict=True))
            labels = torch.where(distances < nearest_yet, class_, labels)
            nearest_yet = nearest_yet.minimum(distances)
        images.append(labels)
    return torch.stack(images)
