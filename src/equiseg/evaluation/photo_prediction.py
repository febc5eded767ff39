"""Predicting a photo with a trained network, at the size of its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from equiseg.data.images.decoded import DecodedImage
from equiseg.data.images.reading import read_image
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.finite_logits import finite_logits
from equiseg.evaluation.image_files import Photo, network_size
from equiseg.evaluation.image_inference import predict_logits, resized
from equiseg.evaluation.large_images import (
    Prediction,
    from_small_logits,
    in_windows,
    window_config,
)
from equiseg.runs.weights import ModelCard

_MOST_LOGITS = 1 << 28  # bytes of all logits at the size of the image; above, band by band
_SHOWN_SIDE = 2048  # pixels of the longer side of the overlay of a large image


class PredictedPhoto(NamedTuple):
    """A photo and its classes.

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


@torch.inference_mode()
def predict_photo(
    model: nn.Module,
    card: ModelCard,
    photo: Photo,
    config: EvaluationConfig,
    *,
    confidence: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> PredictedPhoto:
    """The classes of a photo.

    The logits of the image, which was resized as in training, are resized to the size on disk. A
    large image that is not resized is predicted in windows.

    Args:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        photo: The image.
        config: How it is predicted.
        confidence: Whether the probability of each class id is wanted.
        tell: Receives a sentence if the image is too large to be predicted whole.

    Raises:
        DataError: If a large image cannot be read.
        ValueError: If the network computes NaN or infinity.
    """
    if photo.image is None or photo.shown is None:
        return _large(model, card, photo, config, confidence, tell)
    num_classes, size = len(card.classes), photo.size
    logits = _logits(model, num_classes, photo.shown, config)
    if 4 * num_classes * size[0] * size[1] > _MOST_LOGITS:
        return PredictedPhoto(photo.image, *from_small_logits(logits, size, confidence))
    found = Prediction.of(resized(logits, size), confidence)
    return PredictedPhoto(photo.image, *found)


def _logits(model: nn.Module, num_classes: int, shown: Tensor, config: EvaluationConfig) -> Tensor:
    """Logits of the resized image; of one whole view that is large, at the network's own stride."""
    device = next(model.parameters()).device
    images = shown[None].to(device).float() / 255
    whole = not config.window and not config.flip and config.scales == (1.0,)
    if whole and 4 * num_classes * shown[0].numel() > _MOST_LOGITS:
        return finite_logits(model, images)
    return predict_logits(model, images, config)


def _large(
    model: nn.Module,
    card: ModelCard,
    photo: Photo,
    config: EvaluationConfig,
    confidence: bool,
    tell: Callable[[str], None],
) -> PredictedPhoto:
    """A large image: resized as a whole if training did so, else window by window."""
    image, file, num_classes = None, photo.file, len(card.classes)
    if card.size is None:
        config = window_config(config, num_classes)
        image = DecodedImage(file)
        found = in_windows(model, image, num_classes, config, confidence)
        how = "predicted in windows of {}x{} (evaluation.window)".format(*config.window or ())
    else:
        shown = read_image(file, network_size(card, photo.size))
        logits = _logits(model, num_classes, shown, config)
        found = from_small_logits(logits, photo.size, confidence)
        how = "predicted at {}x{}, as in training".format(*card.size)
    image = image or DecodedImage(file)
    factor = -(-max(image.size) // _SHOWN_SIDE)
    smaller = f"; its overlay is smaller by {factor}" if factor > 1 else ""
    tell(f"{file}: {image.size[0]}x{image.size[1]} pixels (height x width), {how}{smaller}")
    return PredictedPhoto(torch.from_numpy(image.reduced(factor)), *found, factor)
