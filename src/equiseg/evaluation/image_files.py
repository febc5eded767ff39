"""Predicting image files with a trained network, at their own size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.data.errors import DataError
from equiseg.data.images.folder import IMAGE_SUFFIXES, read_image
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict_logits
from equiseg.runs.weights import ModelCard

_LEAST_SIDE = 32  # below it the deepest maps of some networks are empty


def image_files(sources: list[Path]) -> list[Path]:
    """The images among files and folders, in the order given, folders sorted.

    Raises:
        DataError: If a source does not exist or a folder holds no image, all of them at once.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        if source.is_dir():
            found = [f for f in sorted(source.iterdir()) if f.suffix.lower() in IMAGE_SUFFIXES]
            files += found
            if not found:
                problems.append(f"{source}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
        elif source.is_file():
            files.append(source)
        else:
            problems.append(f"{source}: no such file or folder")
    if problems:
        raise DataError.listing("images that cannot be read", problems)
    return files


@torch.inference_mode()
def predict_file(
    model: nn.Module, card: ModelCard, file: Path, config: EvaluationConfig
) -> tuple[Tensor, Tensor]:
    """An image and its predicted classes.

    The image is resized as in training (and to at least 32 pixels a side), its logits back to the
    size on disk.

    Args:
        model: The network; runs where its weights are.
        card: What its weights file says of it.
        file: The image.
        config: How it is predicted.

    Returns:
        Image uint8 (3, H, W) and class ids uint8 (H, W); int64 above 256 classes.

    Raises:
        DataError: If the file cannot be read.
        ValueError: If the network takes images of other than 3 channels.
    """
    channels = (card.configuration or {}).get("in_channels", 3)
    if channels != 3:
        raise ValueError(
            f"{file}: predict reads RGB images, this network takes {channels} channels; call it in "
            "Python (equiseg.runs.weights.load_weights)"
        )
    image = read_image(file)
    height, width = card.size or image.shape[1:]
    size = (max(height, _LEAST_SIDE), max(width, _LEAST_SIDE))
    shown = image if size == tuple(image.shape[1:]) else read_image(file, size)
    device = next(model.parameters()).device
    logits = predict_logits(model, shown[None].to(device).float() / 255, config)
    if logits.shape[2:] != image.shape[1:]:
        logits = F.interpolate(logits, image.shape[1:], mode="bilinear")
    dtype = torch.uint8 if len(card.classes) <= 256 else torch.int64
    return image, logits[0].argmax(0).to("cpu", dtype)
