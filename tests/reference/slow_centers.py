"""Class centers the slow way: resize every map pixel by pixel, then loop over the labels."""

import itertools
import math

import numpy as np
from torch import Tensor


def resize(features: np.ndarray, size: tuple[int, ...], align_corners: bool) -> np.ndarray:
    """(B, C, *spatial) -> (B, C, *size), linear along every axis, in float64."""
    resized = np.zeros((*features.shape[:2], *size))
    for target in itertools.product(*map(range, size)):
        corners = [
            _neighbours(position, small, large, align_corners)
            for position, small, large in zip(target, features.shape[2:], size, strict=True)
        ]
        for corner in itertools.product(*corners):
            cell = tuple(index for index, _ in corner)
            share = math.prod(weight for _, weight in corner)
            resized[(slice(None), slice(None), *target)] += (
                share * features[(slice(None), slice(None), *cell)]
            )
    return resized


def _neighbours(position: int, small: int, large: int, align_corners: bool) -> list:
    """The two source cells of one position along one axis, with their weights."""
    if align_corners:
        source = position * (small - 1) / (large - 1) if large > 1 else 0.0
    else:
        source = max((position + 0.5) * small / large - 0.5, 0.0)
    lower = min(math.floor(source), small - 1)
    upper = min(lower + 1, small - 1)
    return [(lower, 1 - (source - lower)), (upper, source - lower)]


def class_means(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    align_corners: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(K, C) means and (K,) counts over the labels that are classes; absent rows are zero."""
    maps = features.detach().double().numpy()
    ids = labels.numpy()
    if maps.ndim > 2:
        maps = resize(maps, ids.shape[1:], align_corners)
    sums = np.zeros((num_classes, maps.shape[1]))
    counts = np.zeros(num_classes, dtype=np.int64)
    for image, *place in np.ndindex(*ids.shape):
        label = int(ids[(image, *place)])
        if label != ignore_index:
            sums[label] += maps[(image, slice(None), *place)]
            counts[label] += 1
    return sums / np.maximum(counts, 1)[:, None], counts
