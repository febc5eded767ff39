"""Errors of the classes in a softmax: chances missed on their pixels, and given to others'."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equiseg.centers.sums import row_sums
from equiseg.labels import is_checkable
from equiseg.losses.tiles import softmax_gradient, tiles


def class_errors(logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the known pixels: misses and false positives of every class.

    The errors themselves are summed: in float32, a difference of large sums would lose them. On a
    CPU in eager mode, tile by tile: the softmax is the only map of K classes that is made.

    Args:
        logits_BKP: (B, K, P) float32 or float64.
        targets_BP: (B, P) int64 class ids; arbitrary where not known.
        known_BP: (B, P) bool, whether the pixel is labelled.

    Returns:
        (K,) sums of 1 - p over the pixels of the class, and (K,) sums of p over all others.
    """
    if is_checkable(targets_BP):
        missed_K, false_K, _ = _ByTiles.apply(logits_BKP, targets_BP, known_BP)  # type: ignore[no-untyped-call]
        return missed_K, false_K
    num_classes = logits_BKP.shape[1]
    chances_BKP, own_B1P = logits_BKP.softmax(1), targets_BP.unsqueeze(1)
    ids_BP = torch.where(known_BP, targets_BP, num_classes)
    missed_B1P = 1 - chances_BKP.gather(1, own_B1P)
    known_BKP = torch.where(known_BP.unsqueeze(1), chances_BKP, 0)
    false_K = known_BKP.scatter(1, own_B1P, 0).sum((0, 2))
    return row_sums(missed_B1P, ids_BP, num_classes).squeeze(1), false_K


class _ByTiles(torch.autograd.Function):
    """(K,) misses, (K,) false positives and the (B, K, P) chances, which backward reads.

    The chances are an output, so that a second derivative has their gradient, too.
    """

    @staticmethod
    def forward(
        logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_classes = logits_BKP.shape[1]
        chances_BKP = torch.empty_like(logits_BKP)
        missed_K, false_K = torch.zeros(2, num_classes, dtype=torch.float64)
        for image, at in tiles(logits_BKP):
            chances_KP = logits_BKP[image, :, at].softmax(0)
            chances_BKP[image, :, at] = chances_KP
            targets_P, known_P = targets_BP[image, at], known_BP[image, at]
            own_1P = targets_P.unsqueeze(0)
            misses_P = torch.where(known_P, 1 - chances_KP.gather(0, own_1P).squeeze(0), 0)
            missed_K += torch.bincount(targets_P, misses_P.double(), num_classes)
            chances_KP.scatter_(0, own_1P, 0)
            if not known_P.all():
                chances_KP.masked_fill_(~known_P, 0)
            false_K += chances_KP.sum(1)
        return missed_K.to(logits_BKP.dtype), false_K.to(logits_BKP.dtype), chances_BKP

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[2], *inputs[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        chances_BKP, targets_BP, known_BP = ctx.saved_tensors
        zeros_K = chances_BKP.new_zeros(chances_BKP.shape[1])
        of_missed_K, of_false_K = (zeros_K if of is None else of for of in gradients[:2])
        if torch.is_grad_enabled() or gradients[2] is not None:
            gradient_BKP = _chance_gradient(targets_BP, known_BP, of_missed_K, of_false_K)
            if gradients[2] is not None:
                gradient_BKP = gradient_BKP + gradients[2]
            return softmax_gradient(chances_BKP, gradient_BKP), None, None
        gradient_BKP = torch.empty_like(chances_BKP)
        for image, at in tiles(chances_BKP):
            chances_KP, here = chances_BKP[image, :, at], (slice(image, image + 1), at)
            tile_KP = _chance_gradient(targets_BP[here], known_BP[here], of_missed_K, of_false_K)[0]
            tile_KP -= (chances_KP * tile_KP).sum(0)
            torch.mul(chances_KP, tile_KP, out=gradient_BKP[image, :, at])
        return gradient_BKP, None, None


def _chance_gradient(
    targets_BP: Tensor, known_BP: Tensor, of_missed_K: Tensor, of_false_K: Tensor
) -> Tensor:
    """(B, K, P) gradient in the chances; differentiable."""
    known_B1P = known_BP.to(of_false_K.dtype).unsqueeze(1)
    of_own_B1P = -of_missed_K[targets_BP].unsqueeze(1) * known_B1P
    return (of_false_K.unsqueeze(1) * known_B1P).scatter(1, targets_BP.unsqueeze(1), of_own_B1P)
