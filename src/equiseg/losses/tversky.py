"""TverskyLoss: the overlap of each class, with separate weights for the two kinds of errors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equiseg.labels import count_ids
from equiseg.losses.arguments import check_number, is_number
from equiseg.losses.class_errors import class_errors
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known


class TverskyLoss(PixelLoss):
    r"""One minus the Tversky index of each class, averaged over the classes present in the batch.

    .. math:: L = \frac{1}{K'} \sum_{k\ \mathrm{present}} 1 - \frac{TP_k}
        {TP_k + \alpha FP_k + \beta FN_k}, \quad
        TP_k = \sum_{y_i = k} p_{ik},\ FP_k = \sum_{y_i \neq k} p_{ik},\
        FN_k = \sum_{y_i = k} 1 - p_{ik}

    over all pixels i of the batch, not image by image. Every present class has the same weight.
    Absent classes have no overlap and are left out; their false positives still count as misses of
    the present classes. No smoothing term is needed, because a present class has pixels.

    Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", 2017 (arXiv 1706.05721), for one class against the rest.

    Args:
        num_classes: Number of classes K.
        alpha: Weight of false positives, >= 0. 0.3, the best published value.
        beta: Weight of missed pixels, > 0. 0.7, the best published value; above ``alpha`` it
            favours recall, which rare classes lack.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If an argument cannot work.
    """

    def __init__(
        self, num_classes: int, *, alpha: float = 0.3, beta: float = 0.7, ignore_index: int = 255
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_number("alpha", alpha, default=0.3)
        if not (is_number(beta) and 0 < beta < math.inf):
            raise ValueError(
                f"beta must be a finite number > 0, got {beta!r}: without a weight for missed "
                "pixels the best is never to predict a class; the default is 0.7"
            )
        self.alpha = alpha
        self.beta = beta

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        missed_K, false_K = class_errors(logits_BKP, targets_BP, known_BP)
        ids_BP = torch.where(known_BP, targets_BP, self.num_classes)
        counts_K = count_ids(ids_BP, self.num_classes)
        price_K = self.alpha * false_K + self.beta * missed_K
        present_K = counts_K > 0
        whole_K = torch.where(present_K, counts_K - missed_K + price_K, 1)
        return mean_of_known(price_K / whole_K, present_K)
