"""Products and cosines of features with one row per class, for maps and points alike."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from equiseg.labels import is_checkable
from equiseg.losses.tiles import tiles

# Shorter than this, a vector has no direction: its gradient would be a million times the loss's.
_SHORTEST = 1e-6
_DOWN = 2.0**-80  # scales the largest float32 to 3e14, the shortest vector that overflows to 1e-5


def products(features: Tensor, rows_KC: Tensor) -> Tensor:
    """The product of every feature with every row: (B, K, *spatial) or (N, K)."""
    rows_KC = rows_KC.to(features.dtype)
    if features.ndim == 2:
        return features @ rows_KC.T
    # einsum would copy the maps, features last.
    scores_BKU: Tensor = torch.matmul(rows_KC, features.flatten(2))
    return scores_BKU.view(len(features), len(rows_KC), *features.shape[2:])


def cosines(features: Tensor, unit_KC: Tensor) -> Tensor:
    """The cosine of every feature with every unit row: (B, K, *spatial) or (N, K)."""
    features, lengths = with_lengths(features)
    return products(features, unit_KC) / lengths


def directions(vectors: Tensor) -> Tensor:
    """Vectors along dimension 1 at length one; those too short become zero, without a gradient."""
    vectors, lengths = with_lengths(vectors)
    return vectors / lengths


def with_lengths(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors, and lengths to divide by; infinite for vectors too short to have a direction.

    Vectors whose squares overflow are scaled down first: a direction has no length.
    """
    lengths = _lengths(vectors)
    overflows = lengths.isinf()
    if not is_checkable(lengths) or bool(overflows.any()):
        # A power of two, so nothing is rounded; float16 and bfloat16 were widened before.
        vectors = vectors * torch.where(overflows, _DOWN, 1.0).to(vectors.dtype)
        lengths = _lengths(vectors)
    return vectors, lengths.masked_fill(lengths < _SHORTEST, math.inf)


def _lengths(vectors: Tensor) -> Tensor:
    """(B, 1, *spatial) or (N, 1) Euclidean lengths along dimension 1."""
    if vectors.ndim > 2 and vectors.stride(1) != 1 and is_checkable(vectors):
        lengths: Tensor = _MapLengths.apply(vectors)  # type: ignore[no-untyped-call]
        return lengths
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return norms


class _MapLengths(torch.autograd.Function):
    """Lengths over the maps of each channel, which ``vector_norm`` adds ten times as slowly."""

    @staticmethod
    def forward(vectors: Tensor) -> Tensor:
        maps_BCU = vectors.flatten(2)
        lengths_BU = vectors.new_empty(maps_BCU.shape[0], maps_BCU.shape[2])
        for image, at in tiles(maps_BCU):
            lengths_BU[image, at] = maps_BCU[image, :, at].square().sum(0)
        return lengths_BU.sqrt_().view(len(vectors), 1, *vectors.shape[2:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        vectors, lengths = ctx.saved_tensors
        ratios: Tensor = (gradients[0] / lengths).masked_fill(lengths == 0, 0)
        of_vectors: Tensor = vectors * ratios
        return of_vectors
