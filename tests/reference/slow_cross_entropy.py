"""Cross entropy derived a second time, pixel by pixel in float64 numpy."""

import numpy as np
from torch import Tensor

from reference.slow_centers import resize


def cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int = 255) -> float:
    """Mean over the labelled pixels of the resized (B, K, h, w) logits."""
    maps = resize(logits.detach().double().numpy(), tuple(labels.shape[1:]), align_corners=False)
    losses = []
    for image, *place in np.ndindex(*labels.shape):
        label = int(labels[(image, *place)])
        if label != ignore_index:
            row = maps[(image, slice(None), *place)]
            losses.append(np.log(np.exp(row).sum()) - row[label])
    return float(np.mean(losses)) if losses else 0.0
