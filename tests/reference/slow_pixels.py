"""What the slow losses loop over: the labelled pixels of resized maps, in float64 numpy."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from reference.slow_centers import resize


def labelled_pixels(
    maps: np.ndarray, labels: Tensor, ignore_index: int = 255
) -> Iterator[tuple[np.ndarray, int]]:
    """The K values and the label of each labelled pixel of (B, K, h, w) under (B, H, W)."""
    resized = resize(maps, tuple(labels.shape[1:]), align_corners=False)
    for image, *place in np.ndindex(*labels.shape):
        label = int(labels[(image, *place)])
        if label != ignore_index:
            yield resized[(image, slice(None), *place)], label


def scores(features: Tensor, rows: Tensor, *, normalised: bool) -> np.ndarray:
    """(B, K, h, w): every cell's feature times every row, cell by cell."""
    maps, rows_KC = as_numpy(features), as_numpy(rows)
    result = np.zeros((len(maps), len(rows_KC), *maps.shape[2:]))
    for image, *place in np.ndindex(len(maps), *maps.shape[2:]):
        feature = maps[(image, slice(None), *place)]
        length = np.sqrt((feature**2).sum()) if normalised else 1.0
        result[(image, slice(None), *place)] = rows_KC @ feature / length
    return result


def softmax(row: np.ndarray) -> np.ndarray:
    return np.exp(row) / np.exp(row).sum()


def as_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
