"""Tiles: pieces of (B, K, P) maps that stay in the cache of a core from one operation to the next.

On a CPU, losses of logits wait for memory: an operation on all K maps reads and writes them all,
and a new map of this size costs as much again. Over a tile, the operations between the logits and
what is kept of them cost little more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

_TILE_VALUES = 2**17  # half a megabyte in float32


def tiles(maps_BKP: Tensor) -> Iterator[tuple[int, slice]]:
    """Yield the image and the pixels of each tile, which has all K classes."""
    batch, classes, pixels = maps_BKP.shape
    size = max(1, _TILE_VALUES // classes)
    for image in range(batch):
        for start in range(0, pixels, size):
            yield image, slice(start, min(start + size, pixels))


def softmax_gradient(chances_BKP: Tensor, gradient_BKP: Tensor) -> Tensor:
    """The gradient in the logits, from the gradient in their softmax; differentiable."""
    return chances_BKP * (gradient_BKP - (chances_BKP * gradient_BKP).sum(1, keepdim=True))
