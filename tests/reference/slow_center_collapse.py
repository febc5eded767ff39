"""The center collapse loss derived a second time, in float64 numpy.

From the loss it takes only the frozen maps, the running statistics and the frame it saved.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from reference.slow_centers import class_means, resize

State = dict[str, Tensor]


def center_collapse(
    state: State,
    features: Tensor,
    labels: Tensor,
    *,
    prior: Sequence[float] | None = None,
    weight: float = 0.4,
    scale: float = 5.0,
) -> float:
    """The default loss: centers, an optional linear map, normalise, frame, mean over present."""
    num_classes = len(state["frame_KD"])
    centers, counts = class_means(features, labels, num_classes)
    if "projection.weight" in state:
        centers = centers @ _numpy(state["projection.weight"]).T + _numpy(state["projection.bias"])
    return weight * _score(state, _unit_rows(centers), counts, prior, scale)


def published(
    state: State,
    features: Tensor,
    labels: Tensor,
    *,
    prior: Sequence[float],
    weight: float,
    training: bool,
    kept: np.ndarray | float = 1.0,
) -> float:
    """The seven steps of the released branch, as the pixels go through them.

    Args:
        state: The module's state dict: its frozen random maps and running statistics.
        features: (B, C, h, w), step 1: the map before the pixel classifier.
        labels: (B, H, W), 255 where nothing is known.
        prior: (K,), the share of images that contain each class.
        weight: Step 7, the factor on the loss.
        training: Whether batch normalisation takes the statistics of this batch.
        kept: (K, D) factors of dropout: 0, or 1 / 0.9 where kept. 1 in evaluation.
    """
    num_classes = len(state["frame_KD"])
    # Step 2: 1x1 convolution to 128 channels, batch normalisation, upsampling with aligned corners.
    maps = features.detach().double().numpy()
    maps = np.einsum("dc,bchw->bdhw", _numpy(state["reduction.weight"]), maps)
    if training:
        mean, var = maps.mean(axis=(0, 2, 3)), maps.var(axis=(0, 2, 3))
    else:
        mean, var = _numpy(state["reduction.running_mean"]), _numpy(state["reduction.running_var"])
    maps = (maps - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    maps = resize(maps, tuple(labels.shape[1:]), align_corners=True)
    # Step 3: drop the pixels labelled 255, one-hot^T @ features, divide by the counts.
    pixels = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
    ids = labels.numpy().reshape(-1)
    pixels, ids = pixels[ids != 255], ids[ids != 255]
    one_hot = np.eye(num_classes)[ids]
    counts = one_hot.sum(axis=0)
    centers = one_hot.T @ pixels / np.maximum(counts, 1)[:, None]
    # Step 4: linear to 512, ReLU, normalise, dropout, frame at scale 5.
    # Step 6 is where the maps come from: buffers of the state, seen by no optimizer.
    lifted = centers @ _numpy(state["projection.weight"]).T + _numpy(state["projection.bias"])
    rows = _unit_rows(np.maximum(lifted, 0)) * kept
    # Step 5: mean over present classes of cross entropy on logits + log(prior).
    return weight * _score(state, rows, counts, prior, 5.0)


def _score(
    state: State,
    rows: np.ndarray,
    counts: np.ndarray,
    prior: Sequence[float] | None,
    scale: float,
) -> float:
    logits = scale * rows @ _numpy(state["frame_KD"]).T
    if prior is not None:
        logits = logits + np.log(prior)
    losses = [
        np.log(np.exp(logits[k]).sum()) - logits[k, k] for k in range(len(logits)) if counts[k] > 0
    ]
    return float(np.mean(losses)) if losses else 0.0


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
