"""The center branch with a classifier that learns, derived a second time."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from reference.slow_centers import class_means
from reference.slow_pixels import as_numpy, softmax


def learnable_center(
    state: dict[str, Tensor],
    features: Tensor,
    labels: Tensor,
    *,
    prior: Sequence[float],
    weight: float = 0.4,
    scale: float = 5.0,
) -> float:
    rows = as_numpy(state["rows_KD"])
    centers, counts = class_means(features, labels, len(rows))
    losses = []
    for k in np.flatnonzero(counts):
        logits = scale * rows @ (centers[k] / np.linalg.norm(centers[k])) + np.log(prior)
        losses.append(-np.log(softmax(logits)[k]))
    return weight * float(np.mean(losses)) if losses else 0.0
