"""Joint random transforms of an image and its labels, from one seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.data.class_draw import ClassDraw
from equiseg.data.images.config import AugmentConfig as AugmentConfig
from equiseg.data.images.copy_paste import pixel_of
from equiseg.data.sample import Sample

# The mean colour of natural images, for pixels beyond the border.
_PADDING_RGB = (124, 116, 104)
_PADDING_GREY = 116  # for images that are not RGB
_GREY_RGB = (0.299, 0.587, 0.114)


def augment(
    sample: Sample,
    config: AugmentConfig,
    ignore_index: int,
    generator: torch.Generator,
    *,
    rare: ClassDraw | None = None,
    paste: Callable[[Tensor, Tensor, torch.Generator], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """A random crop at a random scale, flipped and recoloured.

    The window is cut from the image before resizing, so the cost depends on the crop, not on the
    scale.

    Args:
        sample: The image and its labels.
        config: Ranges of the changes.
        ignore_index: Label of pixels beyond the image.
        generator: The only source of randomness.
        rare: Draws a class that the crop contains; needed if ``config.rare`` is above 0.
        paste: Pastes regions into image and labels, in place (``CopyPaste``); needed if
            ``config.paste`` is above 0.

    Returns:
        Image float32 in [0, 1], (C, h, w), and labels int64 (h, w).

    Raises:
        ValueError: If ``rare`` or ``paste`` is needed and not given.
    """
    _check_given("rare", config.rare, rare)
    _check_given("paste", config.paste, paste)
    low, high = config.scale
    height, width = config.crop or tuple(sample.labels.shape)
    scale = low * (high / low) ** _uniform(generator)
    window = (max(round(height / scale), 1), max(round(width / scale), 1))
    held: tuple[int | None, int | None] = (None, None)
    if config.rare and rare is not None and _uniform(generator) < config.rare:
        class_id = rare.among(sample.labels, generator)
        if class_id is not None:
            held = pixel_of(sample, class_id, generator)
    top, left = (
        _start(*sides, generator) for sides in zip(sample.labels.shape, window, held, strict=True)
    )
    image, labels, inside = _cut(sample, top, left, window, ignore_index)
    if config.paste and paste is not None and _uniform(generator) < config.paste:
        paste(image[:, inside[0], inside[1]], labels[inside], generator)
    image, labels = _resize(image, labels, (height, width))
    if _uniform(generator) < config.flip:
        image, labels = image.flip(-1), labels.flip(-1)
    return _recolour(image, config, generator), labels.long()


def to_tensors(sample: Sample) -> tuple[Tensor, Tensor]:
    """The sample without changes: image float32 in [0, 1], (C, H, W), and labels int64 (H, W)."""
    return _unit(sample.image), sample.labels.long()


def resize(image: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image (bilinear, antialiased) and labels (nearest) at another size, in the same types.

    Args:
        image: (C, H, W), uint8 or floating point in [0, 1].
        labels: (H, W).
        size: New (H, W).
    """
    resized, labels = _resize(image, labels, size)
    if image.dtype == torch.uint8:
        return (255 * resized).round().to(torch.uint8), labels
    return resized, labels


def as_rgb(image: Tensor) -> Tensor:
    """An image with any number of channels as uint8 RGB, for display.

    Args:
        image: (C, H, W), uint8 or floating point in [0, 1]. The first three channels are shown;
            with one or two channels, the first in grey.
    """
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    return shown if shown.dtype == torch.uint8 else (255 * shown).round().to(torch.uint8)


def _check_given(name: str, probability: float, given: object) -> None:
    """Refuse a change that needs an argument which is not given."""
    if probability and given is None:
        raise ValueError(
            f"config.{name}={probability} needs {name}, got None; give it (as "
            f"equiseg.data.loading.TrainingView does), or set config.{name} to 0"
        )


def _unit(image: Tensor) -> Tensor:
    """float32 in [0, 1]."""
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


def _start(have: int, want: int, held: int | None, generator: torch.Generator) -> int:
    """Draw the start of a window of ``want`` pixels along a side of ``have``, uniformly.

    Args:
        have: Pixels of the image.
        want: Pixels of the window; a window larger than the image contains all of it.
        held: A pixel that the window must contain, if any.
        generator: The only source of randomness.
    """
    first, last = sorted((0, have - want))
    if held is not None and want < have:
        first, last = max(first, held - want + 1), min(last, held)
    steps = math.floor(_uniform(generator) * (last - first + 1))
    return first + steps if want <= have else last - steps


def _cut(
    sample: Sample, top: int, left: int, window: tuple[int, int], ignore_index: int
) -> tuple[Tensor, Tensor, tuple[slice, slice]]:
    """A window that may extend beyond the border, and the part of it inside the image.

    Outside is grey and unlabelled.
    """
    height, width = sample.labels.shape
    channels = len(sample.image)
    color = torch.tensor(_PADDING_RGB if channels == 3 else (_PADDING_GREY,) * channels)
    color = color.to(torch.uint8) if sample.image.dtype == torch.uint8 else color / 255
    image = color.view(channels, 1, 1).repeat(1, *window)
    labels = torch.full(window, ignore_index, dtype=torch.int64)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + window[0], height), min(left + window[1], width)
    inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    image[:, inside[0], inside[1]] = sample.image[:, y0:y1, x0:x1]
    labels[inside] = sample.labels[y0:y1, x0:x1].long()
    return image, labels, inside


def _resize(image: Tensor, labels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    if tuple(labels.shape) == size:
        return _unit(image), labels
    resized = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0]
    if image.dtype == torch.uint8:
        resized = resized / 255
    rows, columns = (
        ((torch.arange(to) + 0.5) * (of / to)).long()
        for of, to in zip(labels.shape, size, strict=True)
    )
    return resized.clamp_(0, 1), labels[rows[:, None], columns]


def _recolour(image: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast and saturation: blend with black, mean grey and grey.

    Images that are not RGB have no saturation; their grey is the mean of the channels.
    """
    factors = [
        1 + strength * (2 * _uniform(generator) - 1)
        for strength in (config.brightness, config.contrast, config.saturation)
    ]
    channels = len(image)
    rgb = channels == 3
    weights = torch.tensor(_GREY_RGB if rgb else [1 / channels] * channels).view(-1, 1, 1)
    image = image * factors[0]
    mean = (image.mean((1, 2), keepdim=True) * weights).sum(0, keepdim=True)
    image = mean + (image - mean) * factors[1]
    if not rgb:
        return image.clamp_(0, 1)
    grey = (image * weights).sum(0, keepdim=True)
    return (grey + (image - grey) * factors[2]).clamp_(0, 1)
