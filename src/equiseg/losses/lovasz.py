"""LovaszLoss: the convex extension of the intersection over union of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.labels import count_ids, is_checkable
from equiseg.losses.pixel_loss import PixelLoss


class LovaszLoss(PixelLoss):
    r"""The Lovasz-softmax loss over all pixels of the batch, averaged over the classes present.

    .. math:: L = \frac{1}{K'} \sum_{k\ \mathrm{present}} \sum_i m_{\pi(i)}
        \left[ \Delta_k(\{\pi(1), \dots, \pi(i)\}) - \Delta_k(\{\pi(1), \dots, \pi(i-1)\}) \right]

    with the errors :math:`m_i = 1 - p_{ik}` where :math:`y_i = k` and :math:`p_{ik}` elsewhere,
    :math:`\pi` their order from the largest down, and :math:`\Delta_k(M) = |M| / |\{y = k\} \cup
    M|`, one minus the IoU of class k if the pixels in M were wrong. For a hard prediction it is
    exactly one minus the mean IoU.

    Berman, Rannen Triki and Blaschko, "The Lovasz-Softmax loss", CVPR 2018 (arXiv 1705.08790), in
    the variant with present classes and the pixels of the whole batch. They use it to fine-tune a
    network trained with cross entropy; for training from scratch use the sum of both.

    It sorts all pixels once per class: per present class on the CPU, per class of all K under
    ``torch.compile`` and on an accelerator.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        targets_P, known_P = targets_BP.flatten(), known_BP.flatten()
        ids_P = torch.where(known_P, targets_P, self.num_classes)
        present_K = count_ids(ids_P, self.num_classes) > 0
        total = logits_BKP[:0].sum()  # zero, connected to the graph
        # unbind: the gradient of each slice [:, k] would be a zero map of all K classes.
        for k, chances_BP in enumerate(logits_BKP.softmax(1).unbind(1)):
            if is_checkable(present_K) and not present_K[k]:
                continue  # contributes nothing; saves a sort
            own_P = ids_P == k
            chances_P = chances_BP.flatten()
            errors_P = torch.where(own_P, 1 - chances_P, chances_P)
            errors_P = torch.where(known_P, errors_P, 0)  # sorted last, contributes nothing
            total = total + (errors_P * _slopes(errors_P, own_P)).sum()
        return total / present_K.sum().clamp(min=1)


@torch.no_grad()
def _slopes(errors_P: Tensor, own_P: Tensor) -> Tensor:
    r"""The weight of each error: the drop of the IoU when its pixel becomes wrong.

    A wrong pixel of the class leaves the intersection, 1 / union; any other wrong pixel enters the
    union. Zero for a class without pixels. Constant between changes of order, hence no gradient.
    """
    order_P = _largest_first(errors_P)
    own_sorted_P = own_P.gather(0, order_P)
    # Counts in integers, where float32 would stop at 2^24; no difference of nearly equal IoUs.
    seen_P = own_sorted_P.cumsum(0, dtype=torch.int32)
    others_P = torch.arange(1, len(order_P) + 1, dtype=torch.int32, device=own_P.device) - seen_P
    total = own_P.sum(dtype=torch.int32)
    left_P = (total - seen_P).to(errors_P.dtype)
    union_P = (total.clamp(min=1) + others_P).to(errors_P.dtype)
    slopes_P = torch.where(own_sorted_P, 1, left_P / (union_P - 1)) / union_P
    return torch.empty_like(errors_P).scatter_(0, order_P, slopes_P)


def _largest_first(errors_P: Tensor) -> Tensor:
    """The order of errors >= 0, the first of equal ones first.

    The bits of such numbers, read as an integer, have the same order; torch sorts integers by
    their digits on a CPU, which takes an eighth of the time.
    """
    integers = {torch.float32: torch.int32, torch.float64: torch.int64}[errors_P.dtype]
    # Rounding can make an error of zero negative, whose sign bit is no digit.
    falling_P = torch.iinfo(integers).max - errors_P.clamp(min=0).view(integers)
    return falling_P.argsort(stable=True)
