"""Cross entropy of a fixed classifier derived a second time, pixel by pixel."""

import numpy as np
from torch import Tensor

from reference.slow_pixels import labelled_pixels, scores, softmax


def fixed_classifier(
    state: dict[str, Tensor], features: Tensor, labels: Tensor, scale: float = 1.0
) -> float:
    logits = scale * scores(features, state["frame_KD"], normalised=False)
    losses = [-np.log(softmax(row)[label]) for row, label in labelled_pixels(logits, labels)]
    return float(np.mean(losses)) if losses else 0.0
