"""EqualizationLoss: pixels of other classes rarely push the logits of rare classes down."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equiseg.labels import is_checkable
from equiseg.losses.arguments import is_number, per_class
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known
from equiseg.losses.protocol import ClassPrior
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy


class EqualizationLoss(PixelLoss):
    r"""Softmax equalization: rare classes are mostly ignored at pixels of other classes.

    .. math:: L = \frac{1}{P} \sum_p
        -\log \frac{e^{z_{p y_p}}}{\sum_k w_{pk} e^{z_{pk}}},
        \quad w_{pk} = 1 - \beta_{pk} T_k [k \ne y_p],
        \quad \beta_{pk} \sim \mathrm{Bernoulli}(\gamma)

    with T one for the rare classes.

    Tan et al., "Equalization Loss for Long-Tailed Object Recognition", CVPR 2020 (arXiv
    2003.05176), the softmax form. Adapted to segmentation: samples are pixels instead of images,
    each with its own random draws (in steps of 2^-16); and the rare classes are defined by their
    joint share of the pixels (the tail ratio of the paper), not by a threshold on the frequency of
    each, which would depend on K. In eval mode :math:`\beta` is its mean, as in dropout.

    Args:
        num_classes: Number of classes K.
        prior: (K,) positive pixel shares of the classes in training, as of
            :func:`equiseg.class_prior`; only their ratios matter.
        tail_share: The rarest classes that together hold at most this share of the pixels are
            rare, 0 to 1. 0.05: a twentieth of the pixels at most is protected.
        gamma: Probability that a rare class is left out, 0 to below 1. 0.9: at 1 nothing would
            ever keep a rare class from being predicted everywhere.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    rare_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        prior: ClassPrior,
        tail_share: float = 0.05,
        gamma: float = 0.9,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        if not (is_number(tail_share) and 0 <= tail_share <= 1):
            raise ValueError(
                f"tail_share must be a share from 0 to 1, got {tail_share!r}; the default is 0.05"
            )
        if not (is_number(gamma) and 0 <= gamma < 1):
            raise ValueError(
                f"gamma must be a probability from 0 to below 1, got {gamma!r}; the default is 0.9"
            )
        self.gamma = gamma
        prior_K = per_class("prior", prior, num_classes).double()
        # Classes of equal share are either all rare or all not rare.
        up_to_KK = prior_K.unsqueeze(0) <= prior_K.unsqueeze(1)
        held_K = (up_to_KK * prior_K).sum(1) / prior_K.sum()
        # Shares and counts of the same classes differ by rounding; the tolerance absorbs that.
        self.register_fixed("rare_K", (held_K <= tail_share * (1 + 1e-6)).float())

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean cross entropy of the logits plus log w."""
        # On a CPU the rare rows are drawn and masked; elsewhere shapes must not depend on values.
        rows_R = torch.arange(self.num_classes, device=self.rare_K.device)
        if is_checkable(targets_BP):
            rows_R = rows_R[self.rare_K > 0]
        rare_R1 = self.rare_K[rows_R].unsqueeze(1) > 0

        def spare(logits: Tensor, targets: Tensor) -> Tensor:
            rows = logits.index_select(-2, rows_R)
            if self.training:
                rows.masked_fill_(_drawn(self.gamma * rare_R1, rows.shape), -math.inf)
            else:
                rows += math.log1p(-self.gamma) * rare_R1.to(rows.dtype)
            own = targets.unsqueeze(-2)
            return logits.index_copy(-2, rows_R, rows).scatter_(-2, own, logits.gather(-2, own))

        return mean_of_known(shifted_cross_entropy(logits_BKP, targets_BP, spare), known_BP)


def _drawn(chances: Tensor, shape: torch.Size) -> Tensor:
    """Bool, true with chances that spread to this shape: in multiples of 2^-16, below 1."""
    count = shape.numel()
    # Four draws from each number. In the layout of the logits, they would depend on it.
    numbers = torch.randint(-(2**63), 2**63 - 1, (-(-count // 4),), device=chances.device)
    draws = numbers.view(torch.int16)[:count].view(shape)
    return draws < ((2**16 * chances).round().clamp(max=2**16 - 1) - 2**15).to(torch.int16)
