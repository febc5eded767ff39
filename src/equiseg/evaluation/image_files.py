"""Predicting image files with a trained network, at their own size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.data.errors import DataError
from equiseg.data.images.decoded import DecodedImage, image_size
from equiseg.data.images.opened import IMAGE_SUFFIXES
from equiseg.data.images.reading import read_image
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.finite_logits import finite_logits
from equiseg.evaluation.image_inference import predict_logits
from equiseg.evaluation.large_images import (
    LARGE_IMAGE,
    LEAST_SIDE,
    Prediction,
    from_small_logits,
    in_windows,
    window_config,
)
from equiseg.foreign_files import list_files
from equiseg.metrics.predictions import most_likely
from equiseg.runs.weights import ModelCard

_MOST_LOGITS = 1 << 28  # bytes of all logits at the size of the image; above, band by band
_MOST_OF_VIEWS = 1 << 29  # bytes likewise, if logits of several views are averaged
_SHOWN_SIDE = 2048  # pixels of the longer side of the overlay of a large image


class PredictedFile(NamedTuple):
    """An image and its classes.

    Attributes:
        image: uint8 (3, H, W); of a large image (3, ceil(H / factor), ceil(W / factor)).
        labels: Class ids (H, W): uint8, or int32 above 256 classes.
        confidence: Their probabilities, uint8 (H, W) in 255ths, or None.
        factor: The factor by which the image is reduced.
    """

    image: Tensor
    labels: Tensor
    confidence: Tensor | None
    factor: int = 1


def image_files(sources: list[Path]) -> list[Path]:
    """The images among files and folders, in the order given, folders sorted.

    Hidden files, as systems and editors make them, are left out.

    Raises:
        DataError: If a source does not exist or a folder holds no image, all of them at once.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        if source.is_dir():
            found = list_files(source, IMAGE_SUFFIXES)
            files += found
            if not found:
                problems.append(f"{source}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
        elif source.exists():
            files.append(source)
        else:
            problems.append(f"{source}: no such file or folder")
    if problems:
        raise DataError.listing("images that cannot be read", problems)
    return files


def check_channels(card: ModelCard) -> None:
    """Raise an error for a network that does not take RGB images.

    Raises:
        ValueError: If it takes images of other than 3 channels.
    """
    channels = (card.configuration or {}).get("in_channels", 3)
    if channels != 3:
        raise ValueError(
            f"predict reads RGB images, this network takes {channels} channels; call it in Python "
            "(equiseg.runs.weights.load_weights)"
        )


@torch.inference_mode()
def predict_file(
    model: nn.Module,
    card: ModelCard,
    file: Path,
    config: EvaluationConfig,
    *,
    confidence: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> PredictedFile:
    """An image and its predicted classes.

    The image is resized as in training (and to at least 32 pixels a side), its logits back to the
    size on disk. A large image that is not resized is predicted in windows.

    Args:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        file: The image.
        config: How it is predicted.
        confidence: Whether the probability of each class id is wanted.
        tell: Receives a sentence if the image is too large to be predicted whole.

    Raises:
        DataError: If the file cannot be read.
        ValueError: If the network computes NaN or infinity.
    """
    size, num_classes = image_size(file), len(card.classes)
    if not _fits_whole(size, card, config):
        return _large(model, card, file, config, confidence, tell)
    image = read_image(file)
    logits = _logits(model, card, file, config, image)
    if 4 * num_classes * size[0] * size[1] > _MOST_LOGITS:
        return PredictedFile(image, *from_small_logits(logits, size, confidence))
    if logits.shape[2:] != size:
        logits = F.interpolate(logits, size, mode="bilinear")
    found = Prediction.empty(size, num_classes, confidence)
    ids, probabilities = most_likely(logits) if confidence else (logits.argmax(1), logits[:, 0])
    found.fill(0, 0, ids[0], probabilities[0])
    return PredictedFile(image, *found)


def _fits_whole(size: tuple[int, int], card: ModelCard, config: EvaluationConfig) -> bool:
    """Whether the image fits in memory as a whole, and its mirror image if it is needed."""
    pixels = size[0] * size[1]
    if pixels > LARGE_IMAGE:
        return False
    several = config.flip or config.window
    if card.size is not None or not several or config.scales != (1.0,):
        return True
    views = 2 if config.flip else 1
    return views * pixels <= LARGE_IMAGE and 4 * len(card.classes) * pixels <= _MOST_OF_VIEWS


def _logits(
    model: nn.Module, card: ModelCard, file: Path, config: EvaluationConfig, image: Tensor | None
) -> Tensor:
    """Logits of the resized image; of one whole view that is large, at the network's own stride."""
    height, width = card.size or (image_size(file) if image is None else image.shape[1:])
    size = (max(height, LEAST_SIDE), max(width, LEAST_SIDE))
    shown = image if image is not None and size == tuple(image.shape[1:]) else None
    shown = read_image(file, size) if shown is None else shown
    device = next(model.parameters()).device
    images = shown[None].to(device).float() / 255
    whole = not config.window and not config.flip and config.scales == (1.0,)
    if whole and 4 * len(card.classes) * size[0] * size[1] > _MOST_LOGITS:
        return finite_logits(model, images)
    return predict_logits(model, images, config)


def _large(
    model: nn.Module,
    card: ModelCard,
    file: Path,
    config: EvaluationConfig,
    confidence: bool,
    tell: Callable[[str], None],
) -> PredictedFile:
    """A large image: resized as a whole if training did so, else window by window."""
    image = None
    if card.size is None:
        config = window_config(config, len(card.classes))
        image = DecodedImage(file)
        found = in_windows(model, image, len(card.classes), config, confidence)
        how = "predicted in windows of {}x{} (evaluation.window)".format(*config.window or ())
    else:
        logits = _logits(model, card, file, config, None)
        found = from_small_logits(logits, image_size(file), confidence)
        how = "predicted at {}x{}, as in training".format(*card.size)
    image = image or DecodedImage(file)
    factor = -(-max(image.size) // _SHOWN_SIDE)
    smaller = f"; its overlay is smaller by {factor}" if factor > 1 else ""
    tell(f"{file}: {image.size[0]}x{image.size[1]} pixels (height x width), {how}{smaller}")
    return PredictedFile(torch.from_numpy(image.reduced(factor)), *found, factor)
