"""Dot regression derived a second time, pixel by pixel."""

import numpy as np
from torch import Tensor

from reference.slow_pixels import labelled_pixels, scores


def dot_regression(state: dict[str, Tensor], features: Tensor, labels: Tensor) -> float:
    cosines = scores(features, state["frame_KD"], normalised=True)
    losses = [0.5 * (row[label] - 1) ** 2 for row, label in labelled_pixels(cosines, labels)]
    return float(np.mean(losses)) if losses else 0.0
