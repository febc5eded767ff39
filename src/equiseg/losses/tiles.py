"""Tiles: pieces of (B, K, P) maps that stay in the cache of a core from one operation to the next.

On a CPU, losses of logits wait for memory: an operation on all K maps reads and writes them all,
and a new map of this size costs as much again. Over a tile, the operations between the logits and
what is kept of them cost little more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.autograd import forward_ad

from equiseg.labels import is_checkable

_TILE_VALUES = 2**17  # half a megabyte in float32


def runs_by_tiles(logits: Tensor) -> bool:
    """Whether to go tile by tile: on a CPU, in eager mode, without forward-mode derivatives."""
    if not is_checkable(logits):
        return False
    return forward_ad.unpack_dual(logits).tangent is None  # type: ignore[no-untyped-call]


def tiles(maps_BKP: Tensor) -> Iterator[tuple[int, slice]]:
    """Yield the image and the pixels of each tile, which has all K classes."""
    batch, classes, pixels = maps_BKP.shape
    size = max(1, _TILE_VALUES // classes)
    for image in range(batch):
        for start in range(0, pixels, size):
            yield image, slice(start, min(start + size, pixels))


def softmax_gradient(chances: Tensor, gradient: Tensor, dim: int = 1) -> Tensor:
    """The gradient in the logits, from the gradient in their softmax; differentiable."""
    return chances * (gradient - (chances * gradient).sum(dim, keepdim=True))
