"""Large images, predicted in bounded memory: windows of the image, bands of the logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.finite_logits import finite_logits
from equiseg.evaluation.image_inference import resized, window_starts, window_stride
from equiseg.metrics.predictions import most_likely

if TYPE_CHECKING:
    from equiseg.data.images.decoded import DecodedImage

LARGE_IMAGE = 12_500_000
"""Pixels above which an image is predicted in windows: the photos of most phones are below. A small
network takes about 100 bytes for each pixel of an image, here 1.3 GB."""
LEAST_SIDE = 32  # below it the deepest maps of some networks are empty
_WINDOW = 1024  # wider than the field of view of the networks here
_BAND_BYTES = 1 << 28  # of logits or probabilities at the size of the image, at a time


class Prediction(NamedTuple):
    """The classes of an image.

    Attributes:
        labels: Class ids (H, W): uint8, or int32 above 256 classes.
        confidence: Probability of each, uint8 (H, W) in 255ths; None if not asked for.
    """

    labels: Tensor
    confidence: Tensor | None

    @classmethod
    def empty(cls, size: tuple[int, int], num_classes: int, confidence: bool) -> Prediction:
        """To be filled part by part."""
        dtype = torch.uint8 if num_classes <= 256 else torch.int32
        shown = torch.zeros(size, dtype=torch.uint8) if confidence else None
        return cls(torch.zeros(size, dtype=dtype), shown)

    @classmethod
    def of(cls, logits: Tensor, confidence: bool) -> Prediction:
        """The classes of logits (1, K, H, W)."""
        _, num_classes, height, width = logits.shape
        found = cls.empty((height, width), num_classes, confidence)
        if confidence:
            ids, probabilities = most_likely(logits)
            found.fill(0, 0, ids[0], probabilities[0])
        else:
            found.labels.copy_(logits[0].max(0).indices)  # as argmax, which is slower on CPUs
        return found

    def fill(self, top: int, left: int, ids: Tensor, probabilities: Tensor) -> None:
        """Put class ids (h, w) and their probabilities at a place."""
        height, width = ids.shape
        place = slice(top, top + height), slice(left, left + width)
        self.labels[place] = ids.to("cpu", self.labels.dtype)
        if self.confidence is not None:
            self.confidence[place] = (probabilities * 255).round_().to("cpu", torch.uint8)


def from_small_logits(logits: Tensor, size: tuple[int, int], confidence: bool) -> Prediction:
    """The classes of logits (1, K, h, w) at another size, band by band.

    Equal to resizing all logits and taking the largest, except for rounding.
    """
    num_classes = logits.shape[1]
    found = Prediction.empty(size, num_classes, confidence)
    height, width = size
    rows = max(1, _BAND_BYTES // (4 * num_classes * width))
    for top in range(0, height, rows):
        band = _resized_rows(logits, torch.arange(top, min(top + rows, height)), size)
        ids, probabilities = most_likely(band)
        found.fill(top, 0, ids[0], probabilities[0])
    return found


def _resized_rows(logits: Tensor, rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Some rows of bilinearly resized logits."""
    last = logits.shape[2] - 1
    places = ((rows + 0.5) * (last + 1) / size[0] - 0.5).clamp(0, last).to(logits.device)
    above = places.floor().long()
    share = (places - above)[:, None].to(logits.dtype)
    below = (above + 1).clamp_max(last)
    band = logits[:, :, above] * (1 - share) + logits[:, :, below] * share
    return resized(band, (len(rows), size[1]))


def window_config(config: EvaluationConfig, num_classes: int) -> EvaluationConfig:
    """The windows of a large image, where none are given.

    Raises:
        ValueError: If it is to be predicted at several scales, which need the whole image.
    """
    if config.scales != (1.0,):
        raise ValueError(
            f"evaluation.scales={config.scales} is for images of at most {LARGE_IMAGE:,} pixels; "
            "larger ones are predicted in windows: leave scales out, or cut the image into parts"
        )
    if config.window:
        return config
    side = _WINDOW
    while side > LEAST_SIDE and 8 * num_classes * side**2 > _BAND_BYTES:
        side //= 2
    return replace(config, window=(side, side))


def in_windows(
    model: nn.Module,
    image: DecodedImage,
    num_classes: int,
    config: EvaluationConfig,
    confidence: bool,
) -> Prediction:
    """The classes of an image, window by window, each read from the decoded image.

    Probabilities of overlapping windows are averaged, as for images that fit in memory, but only
    those of a strip of the image and as many rows as a window has are in memory at a time.

    Args:
        model: Images (B, 3, H, W) in [0, 1] to logits.
        image: The image.
        num_classes: Number of classes K.
        config: With a window; mirrored, each window is averaged with its mirror image.
        confidence: Whether probabilities are wanted.
    """
    assert config.window is not None
    height, width = (min(pair) for pair in zip(config.window, image.size, strict=True))
    down, right = config.stride or window_stride(height, width)
    tops = window_starts(image.size[0], height, down)
    lefts = window_starts(image.size[1], width, right)
    found = Prediction.empty(image.size, num_classes, confidence)
    for start, stop in _strips(image.size[1], width, num_classes, height):
        inside = [left for left in lefts if left < stop and left + width > start]
        sums = torch.zeros(num_classes, height, stop - start)
        seen = torch.zeros(height, stop - start)
        for top, following in zip(tops, [*tops[1:], tops[-1] + height], strict=True):
            for left in inside:
                shares = _probabilities(model, image.part(top, left, height, width), config.flip)
                first, last = max(left, start), min(left + width, stop)
                sums[..., first - start : last - start] += shares[..., first - left : last - left]
                seen[:, first - start : last - start] += 1
            done = following - top
            most, ids = sums[:, :done].max(0)
            found.fill(top, start, ids, most / seen[:done])
            _shift(sums, done)
            _shift(seen, done)
    return found


def _strips(length: int, window: int, num_classes: int, rows: int) -> Iterator[tuple[int, int]]:
    """Columns that are summed up together: as many as memory allows, a window at the least."""
    columns = max(window, _BAND_BYTES // (4 * num_classes * rows))
    for start in range(0, length, columns):
        yield start, min(start + columns, length)


def _shift(rows: Tensor, done: int) -> None:
    """Drop finished rows, and start new ones at zero."""
    rest = rows[..., done:, :].clone()
    rows.zero_()
    rows[..., : rest.shape[-2], :] = rest


def _probabilities(model: nn.Module, part: object, flip: bool) -> Tensor:
    """(K, h, w) on the CPU."""
    device = next(model.parameters()).device
    window = torch.as_tensor(part)[None].to(device).float() / 255
    size = window.shape[2:]
    large_enough = [max(side, LEAST_SIDE) for side in size]
    views = [window, window.flip(-1)] if flip else [window]
    shares = [
        resized(finite_logits(model, resized(view, large_enough)), size).softmax(1)
        for view in views
    ]
    mean = (shares[0] + shares[1].flip(-1)) / 2 if flip else shares[0]
    return mean[0].cpu()
