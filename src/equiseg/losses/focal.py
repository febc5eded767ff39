"""FocalLoss: the surer the network, the less a pixel counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.losses.arguments import check_number, per_class
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known


class FocalLoss(PixelLoss):
    r"""Cross entropy in which well-classified pixels fade out.

    .. math:: L = \frac{1}{P} \sum_p -\alpha_{y_p} (1 - q_p)^\gamma \log q_p,
        \quad q_p = \mathrm{softmax}_{y_p}(z_p)

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017 (arXiv 1708.02002), equation 5,
    which is for two classes; here with the softmax over K. The mean is over all labelled pixels
    (theirs was over the boxes with an object, which segmentation does not have).

    Args:
        num_classes: Number of classes K.
        gamma: How fast sure pixels fade, >= 0. 2, as published; 0 is cross entropy.
        alpha: (K,) positive class weights. None weighs all alike: the published 0.25 is for
            object against background. The mean is not divided by them, as published, so their
            size matters: those of :func:`equiseg.class_weights` have mean 1.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    alpha_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: float = 2.0,
        alpha: Tensor | Sequence[float] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_number("gamma", gamma, default=2)
        self.gamma = gamma
        alpha = [1.0] * num_classes if alpha is None else alpha
        self.register_buffer("alpha_K", per_class("alpha", alpha, num_classes))

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean of the faded cross entropies."""
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        # 1 - q from log q, exact near q = 1; kept off 0, where a power below 1 has no slope.
        doubts_BP = -torch.expm1(-losses_BP).clamp(max=-torch.finfo(losses_BP.dtype).tiny)
        alphas_BP = self.alpha_K.to(losses_BP.dtype)[targets_BP]
        return mean_of_known(alphas_BP * doubts_BP**self.gamma * losses_BP, known_BP)
