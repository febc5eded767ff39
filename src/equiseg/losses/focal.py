"""FocalLoss: pixels that are already well classified count less."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.losses.arguments import check_number, per_class
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known
from equiseg.losses.protocol import ClassWeight


class FocalLoss(PixelLoss):
    r"""Cross entropy that gives less weight to well-classified pixels.

    .. math:: L = \frac{1}{P} \sum_p -\alpha_{y_p} (1 - q_p)^\gamma \log q_p,
        \quad q_p = \mathrm{softmax}_{y_p}(z_p)

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017 (arXiv 1708.02002), equation 5,
    which is for two classes; here with the softmax over K. The mean is over all labelled pixels
    (theirs was over the boxes with an object, which segmentation does not have).

    Args:
        num_classes: Number of classes K.
        gamma: How fast the weight of confident pixels falls, >= 0. 2, as published; 0
            is cross entropy.
        class_weight: (K,) positive class weights, alpha in the formula. None weighs all classes
            equally: the published 0.25 is for object against background. The mean is not divided
            by the weights, as published, so their size matters: :func:`equiseg.class_weights`
            returns weights of mean 1.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.

    Examples:
        >>> import torch
        >>> from equiseg import class_weights
        >>> from equiseg.losses import FocalLoss
        >>> loss = FocalLoss(num_classes=2, class_weight=class_weights([90, 10], "inverse"))
        >>> loss(torch.zeros(4, 2), torch.tensor([0, 0, 1, 255])).ndim
        0
    """

    alpha_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        gamma: float = 2.0,
        class_weight: ClassWeight | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_number("gamma", gamma, default=2)
        self.gamma = gamma
        alpha_K = [1.0] * num_classes if class_weight is None else class_weight
        self.register_fixed("alpha_K", per_class("class_weight", alpha_K, num_classes))

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean of the cross entropies times ``alpha (1 - q)^gamma``."""
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        # 1 - q from log q, exact near q = 1; clamped above 0, where a power below 1 has no slope.
        doubts_BP = -torch.expm1(-losses_BP).clamp(max=-torch.finfo(losses_BP.dtype).tiny)
        alphas_BP = self.alpha_K.to(losses_BP.dtype)[targets_BP]
        return mean_of_known(alphas_BP * doubts_BP**self.gamma * losses_BP, known_BP)
