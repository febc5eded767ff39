"""Cross entropy of logits to which a loss adds numbers of its own: log-priors, margins, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.losses.tiles import runs_by_tiles, softmax_gradient, tiles

Shift = Callable[[Tensor, Tensor], Tensor]
"""Adds numbers without a gradient: ((..., K, P) logits, (..., P) class ids) -> (..., K, P)."""


def shifted_cross_entropy(logits_BKP: Tensor, targets_BP: Tensor, shift: Shift) -> Tensor:
    """Cross entropy of every pixel after a shift of its logits.

    On a CPU in eager mode, tile by tile: the shifted logits are never in memory at once.

    Args:
        logits_BKP: (B, K, P) float32 or float64.
        targets_BP: (B, P) int64 class ids.
        shift: Called with whole maps or with one tile at a time, in a fixed order.

    Returns:
        (B, P) losses.
    """
    if not runs_by_tiles(logits_BKP):
        return F.cross_entropy(shift(logits_BKP, targets_BP), targets_BP, reduction="none")
    losses_BP: Tensor = _TiledCrossEntropy.apply(logits_BKP, targets_BP, shift)[0]  # type: ignore[no-untyped-call]
    return losses_BP


class _TiledCrossEntropy(torch.autograd.Function):
    """(B, P) losses and (B, K, P) chances, the softmax that backward reads.

    The chances are an output, so that a second derivative has their gradient, too.
    """

    @staticmethod
    def forward(logits_BKP: Tensor, targets_BP: Tensor, shift: Shift) -> tuple[Tensor, Tensor]:
        losses_BP = logits_BKP.new_empty(targets_BP.shape)
        chances_BKP = torch.empty_like(logits_BKP)
        for image, at in tiles(logits_BKP):
            targets_P = targets_BP[image, at]
            shifted_KP = shift(logits_BKP[image, :, at], targets_P)
            chances_KP = shifted_KP.softmax(0)
            chances_BKP[image, :, at] = chances_KP
            # The logarithm of the largest chance, at least 1 / K: the target's chance can round to
            # 0. exp(log_softmax) would be many times slower where chances round to 0.
            own_P = shifted_KP.gather(0, targets_P.unsqueeze(0)).squeeze(0)
            losses_BP[image, at] = shifted_KP.amax(0) - own_P - chances_KP.amax(0).log()
        return losses_BP, chances_BKP

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[1], inputs[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        of_losses_BP, of_chances_BKP = gradients
        chances_BKP, targets_BP = ctx.saved_tensors
        if of_losses_BP is None:
            of_losses_BP = chances_BKP.new_zeros(targets_BP.shape)
        if torch.is_grad_enabled() or of_chances_BKP is not None:
            of_losses_B1P, targets_B1P = of_losses_BP.unsqueeze(1), targets_BP.unsqueeze(1)
            gradient_BKP = chances_BKP * of_losses_B1P
            gradient_BKP = gradient_BKP.scatter_add(1, targets_B1P, -of_losses_B1P)
            if of_chances_BKP is not None:
                gradient_BKP = gradient_BKP + softmax_gradient(chances_BKP, of_chances_BKP)
            return gradient_BKP, None, None
        # Made from a gradient, which may be batched.
        gradient_BKP = of_losses_BP.new_empty_strided(chances_BKP.shape, chances_BKP.stride())
        for image, at in tiles(chances_BKP):
            tile_KP, of_loss_1P = gradient_BKP[image, :, at], of_losses_BP[image : image + 1, at]
            tile_KP.copy_(chances_BKP[image, :, at] * of_loss_1P)
            tile_KP.scatter_add_(0, targets_BP[image : image + 1, at], -of_loss_1P)
        return gradient_BKP, None, None
