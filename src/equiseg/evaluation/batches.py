"""Batches of images of one size, made of samples that come one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from equiseg.evaluation.inputs import Inputs

_CPU_PIXELS = 1 << 17  # larger batches leave the caches of a CPU, and take longer for each image
_GPU_PIXELS = 1 << 20  # about a gigabyte of activations and logits


class EqualBatches:
    """Consecutive images of one size as one batch; the order stays.

    Sizes need not be known in advance: it collects images until the next one has another size, or
    the batch has as many pixels as suit the device. Scans are passed on unchanged.

    Args:
        samples: Batches of one sample each, inputs and labels.
        most_pixels: Pixels of a batch of several images; None chooses by the device, a GPU if
            there is one.
    """

    def __init__(
        self, samples: Iterable[tuple[Inputs, Tensor]], most_pixels: int | None = None
    ) -> None:
        self.samples = samples
        on_gpu = torch.cuda.is_available()
        self.most_pixels = most_pixels or (_GPU_PIXELS if on_gpu else _CPU_PIXELS)

    def __iter__(self) -> Iterator[tuple[Inputs, Tensor]]:
        """The batches of one pass."""
        images: list[Tensor] = []
        labels: list[Tensor] = []
        for sample, truth in self.samples:
            if not isinstance(sample, Tensor):
                yield sample, truth
                continue
            more = (len(images) + 1) * truth.numel()
            if images and (sample.shape != images[0].shape or more > self.most_pixels):
                yield _joined(images), _joined(labels)
                images, labels = [], []
            images.append(sample)
            labels.append(truth)
        if images:
            yield _joined(images), _joined(labels)


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]
