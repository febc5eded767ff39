"""Predicting images (whole or in windows, mirrored, at several scales) and points in voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.data.points.voxels import VoxelBatch
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.finite_logits import finite_logits
from equiseg.evaluation.inputs import Inputs, network_input
from equiseg.metrics.predictions import most_likely

Model = Callable[[Tensor], Tensor]


def predict(
    model: nn.Module, inputs: Inputs, config: EvaluationConfig, channels: Sequence[str]
) -> Tensor:
    """Predict in the form that a score takes: logits (B, K, H, W) or class ids (N,) of points.

    Args:
        model: The network.
        inputs: A batch.
        config: Which views.
        channels: Names of the input channels.
    """
    if isinstance(inputs, VoxelBatch):
        return predict_classes(model, inputs, config, channels)[0]
    return predict_logits(model, inputs, config)


def predict_classes(
    model: nn.Module, inputs: Inputs, config: EvaluationConfig, channels: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Class ids and their probabilities: (B, H, W) of images, (N,) of points.

    With several views both are of the averaged probabilities.

    Args:
        model: The network.
        inputs: A batch.
        config: Which views.
        channels: Names of the input channels.
    """
    if isinstance(inputs, VoxelBatch):
        confidences_V, ids_V = predict_voxels(model, inputs, config, channels).max(1)
        return ids_V[inputs.inverse_N], confidences_V[inputs.inverse_N]
    return most_likely(predict_logits(model, inputs, config))


def predict_voxels(
    model: nn.Module, batch: VoxelBatch, config: EvaluationConfig, channels: Sequence[str]
) -> Tensor:
    """(V, K) float32 class probabilities, averaged over mirror images if asked for.

    Args:
        model: Sparse tensors to logits (V, K).
        batch: Voxels.
        config: Which views.
        channels: Names of the feature channels: normals turn with their scan.
    """
    views = [batch, _mirrored(batch, channels)] if config.flip else [batch]
    probabilities = [finite_logits(model, network_input(view)).softmax(1) for view in views]
    return torch.stack(probabilities).mean(0)


def _mirrored(batch: VoxelBatch, channels: Sequence[str]) -> VoxelBatch:
    """The same voxels, in the same order, with x reversed."""
    coordinates_V4, features_VC = batch.coordinates_V4.clone(), batch.features_VC
    coordinates_V4[:, 1] = -1 - coordinates_V4[:, 1]
    if "normal_x" in channels:
        features_VC = features_VC.clone()
        features_VC[:, list(channels).index("normal_x")] *= -1
    return batch._replace(coordinates_V4=coordinates_V4, features_VC=features_VC)


def predict_logits(model: Model, images: Tensor, config: EvaluationConfig) -> Tensor:
    """Logits at the size of the images.

    With several views (mirror, scales, overlapping windows) the class probabilities are averaged
    and their logarithm returned; a single whole view returns the model's own logits.

    Args:
        model: Images (B, 3, H, W) in [0, 1] to logits (B, K, h, w).
        images: (B, 3, H, W).
        config: Which views.

    Returns:
        (B, K, H, W) float32.

    Raises:
        ValueError: If the configuration holds no scale, or a window without extent; or if a logit
            is NaN or infinite.
    """
    check_evaluation(config)
    size = images.shape[2:]
    views: list[Tensor] = []
    for scale in config.scales:
        scaled_size = [max(32, round(side * scale)) for side in size] if scale != 1 else size
        scaled = resized(images, scaled_size)
        for flipped in (False, True) if config.flip else (False,):
            view = scaled.flip(-1) if flipped else scaled
            logits = _windows(model, view, config) if config.window else finite_logits(model, view)
            logits = resized(logits, size)
            views.append(logits.flip(-1) if flipped else logits)
    if len(views) == 1:
        return views[0]
    mean = torch.stack([view.softmax(1) for view in views]).mean(0)
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def _windows(model: Model, images: Tensor, config: EvaluationConfig) -> Tensor:
    """Log of the mean probabilities of overlapping windows."""
    assert config.window is not None
    height, width = (
        min(side, limit) for side, limit in zip(config.window, images.shape[2:], strict=True)
    )
    strides = config.stride or window_stride(height, width)
    total: Tensor | None = None
    seen = images.new_zeros(images.shape[2:])
    for top in window_starts(images.shape[2], height, strides[0]):
        for left in window_starts(images.shape[3], width, strides[1]):
            place = (..., slice(top, top + height), slice(left, left + width))
            logits = resized(finite_logits(model, images[place]), (height, width))
            if total is None:
                total = logits.new_zeros(*logits.shape[:2], *images.shape[2:])
            total[place] += logits.softmax(1)
            seen[place] += 1
    assert total is not None
    return (total / seen).clamp_min(torch.finfo(total.dtype).tiny).log()


def window_stride(height: int, width: int) -> tuple[int, int]:
    """Two thirds of a window, so that every pixel but those at the edge is inside of one."""
    return max(1, height * 2 // 3), max(1, width * 2 // 3)


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Window positions that cover the length, the last one flush with its end."""
    last = length - window
    return sorted({*range(0, last, stride), last})


def resized(maps: Tensor, size: torch.Size | tuple[int, ...] | list[int]) -> Tensor:
    """Maps (B, C, H, W) at another size, bilinear."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def check_evaluation(config: EvaluationConfig, of_points: bool = False) -> None:
    """Raise an error for views that are impossible for images or for point clouds.

    Raises:
        ValueError: If there is no scale, window and stride do not fit, or an option is of the
            other kind of data.
    """
    if config.votes < 1:
        raise ValueError(f"evaluation.votes must be at least 1, got {config.votes}")
    plain = EvaluationConfig()
    for name in ("window", "stride", "scales") if of_points else ("votes",):
        value = getattr(config, name)
        if value != getattr(plain, name):
            kind, cure = ("images", "votes or flip") if of_points else ("scans", "scales or flip")
            raise ValueError(f"evaluation.{name} is for {kind}, got {value}; use {cure} here")
    if not config.scales or min(config.scales) <= 0:
        raise ValueError(f"evaluation.scales must be positive factors, got {config.scales}")
    for name in ("window", "stride"):
        value = getattr(config, name)
        if value is not None and min(value) < 1:
            raise ValueError(f"evaluation.{name} must be at least 1 on both sides, got {value}")
    if config.stride and not config.window:
        raise ValueError("evaluation.stride needs evaluation.window; give both or neither")
    pairs = zip(config.stride or (), config.window or (), strict=False)
    if any(step > side for step, side in pairs):
        raise ValueError(
            f"evaluation.stride must not exceed the window {config.window}, or parts of the image "
            f"are never seen; got {config.stride}"
        )
