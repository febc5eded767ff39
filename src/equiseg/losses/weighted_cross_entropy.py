"""WeightedCrossEntropyLoss: cross entropy with class weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.losses.arguments import per_class
from equiseg.losses.pixel_loss import PixelLoss
from equiseg.losses.protocol import ClassWeight


class WeightedCrossEntropyLoss(PixelLoss):
    r"""Cross entropy as a weighted mean over the labelled pixels.

    .. math:: L = \frac{\sum_p w_{y_p} \cdot -\log \mathrm{softmax}_{y_p}(z_p)}{\sum_p w_{y_p}}

    Divided by the sum of the weights, as in ``torch.nn.CrossEntropyLoss``: a factor that all
    weights share cancels, and the loss has the same scale in every batch.

    :func:`equiseg.class_weights` computes weights from class counts by published formulas (inverse,
    square root, Eigen & Fergus 2015, ENet, Cui et al. 2019).

    Args:
        num_classes: Number of classes K.
        class_weight: (K,) positive class weights; only their ratios matter.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    weight_K: Tensor

    def __init__(
        self, num_classes: int, *, class_weight: ClassWeight, ignore_index: int = 255
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        self.register_fixed("weight_K", per_class("class_weight", class_weight, num_classes))

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Weighted mean of the pixels' cross entropies."""
        losses_BP = F.cross_entropy(logits_BKP, targets_BP, reduction="none")
        return self.weighted_mean(losses_BP, targets_BP, known_BP)

    def weighted_mean(self, losses_BP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean of the known pixels' losses, weighted by class; zero if there are none."""
        weights_BP = torch.where(known_BP, self.weight_K.to(losses_BP.dtype)[targets_BP], 0)
        losses_BP = torch.where(known_BP, losses_BP, 0)  # zero times infinity is NaN
        total = weights_BP.sum()
        return (weights_BP * losses_BP).sum() / torch.where(total == 0, 1, total)
