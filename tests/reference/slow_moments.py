"""Class moments the slow way: every map really resized, every class's pixels in a list."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def pixels_by_class(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    align_corners: bool = False,
    inverse: Tensor | None = None,
) -> list[np.ndarray]:
    """For each class the (n_k, D) float64 features of its pixels, at the size of the labels."""
    features = features.detach().double()
    if inverse is not None:
        features = features[inverse]
    if features.ndim > 2 and features.shape[2:] != labels.shape[1:]:
        features = F.interpolate(
            features,
            labels.shape[1:],
            mode=_MODES[features.ndim - 2],
            align_corners=align_corners,
        )
    rows = features.movedim(1, -1).reshape(-1, features.shape[1])
    ids = labels.flatten()
    rows, ids = rows[ids != ignore_index], ids[ids != ignore_index]
    return [rows[ids == k].numpy() for k in range(num_classes)]


def cells_by_class(
    features: Tensor, labels: Tensor, num_classes: int, **options
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each class the (U, D) cells of all maps and the (U,) weight of the class on them.

    The weight of a cell is what the pixels of the class get from it: resize a map that is one in
    that cell alone, and add up.
    """
    cells = features[0, 0].numel()
    impulses = torch.eye(cells).reshape(1, cells, *features.shape[2:])
    by_image = []
    for image, image_labels in zip(features, labels, strict=True):
        pixels = pixels_by_class(impulses, image_labels[None], num_classes, **options)
        weights = [rows.sum(0) for rows in pixels]
        by_image.append((image.detach().double().flatten(1).T.numpy(), weights))
    maps = np.concatenate([rows for rows, _ in by_image])
    return [
        (maps, np.concatenate([weights[k] for _, weights in by_image])) for k in range(num_classes)
    ]


def covariance(rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(D, D) population covariance of the rows, about their mean."""
    centered = rows - np.average(rows, axis=0, weights=weights)
    weights = np.ones(len(rows)) if weights is None else weights
    return (centered * weights[:, None]).T @ centered / weights.sum()
