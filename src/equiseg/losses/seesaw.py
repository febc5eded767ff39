"""SeesawLoss: common classes push rare ones down less, unless pixels are confused with them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from equiseg.labels import count_ids
from equiseg.losses.arguments import check_number
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy
from equiseg.ranks import summing_group


class SeesawLoss(PixelLoss):
    r"""Cross entropy that scales the push of class i on the logit of class j by S_ij.

    .. math:: L = \frac{1}{P} \sum_p -\log \frac{e^{z_i}}{e^{z_i} + \sum_{j \ne i} S_{ij} e^{z_j}},
        \quad S_{ij} = \min\!\left(1, \frac{N_j}{N_i}\right)^{p}
        \max\!\left(1, \frac{\sigma_j}{\sigma_i}\right)^{q}

    with i the pixel's class, N the pixels of each class seen so far and :math:`\sigma` the
    softmax. The first factor reduces the push on classes rarer than i, the second restores it
    where the pixel is confused with j. S has no gradient.

    Wang et al., "Seesaw Loss for Long-Tailed Instance Segmentation", CVPR 2021 (arXiv 2008.10032),
    counting pixels instead of instances. Their normalised classifier and objectness branch are not
    included.

    In training mode every batch is counted first; in eval mode nothing is counted. The counts are a
    float32 buffer (keep the module in float32).

    Args:
        num_classes: Number of classes K.
        mitigation: Exponent p >= 0. 0.8, as published; 0 switches mitigation off.
        compensation: Exponent q >= 0. 2, as published; 0 switches compensation off.
        ignore_index: Label value to leave out.
        sync: Count the batches of all ranks while training under ``torch.distributed``: DDP copies
            the buffers of rank 0 to all ranks before each step, so counts of the other ranks would
            be lost. A process group: its ranks only. Never communicates in eval mode.

    Raises:
        ValueError: If the arguments cannot work.
    """

    counts_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        mitigation: float = 0.8,
        compensation: float = 2.0,
        ignore_index: int = 255,
        sync: bool | dist.ProcessGroup = True,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_number("mitigation", mitigation, default=0.8)
        check_number("compensation", compensation, default=2)
        self.mitigation = mitigation
        self.compensation = compensation
        self.sync = sync
        self.register_buffer("counts_K", torch.zeros(num_classes))

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean cross entropy of the logits plus log S; counts the batch first in training."""
        if self.training:
            ids_BP = torch.where(known_BP, targets_BP, self.num_classes)
            counts_K = count_ids(ids_BP, self.num_classes)
            group = summing_group(self.sync)
            if group is not None:
                dist.all_reduce(counts_K, group=group)
            self.counts_K += counts_K
        log_counts_K = self.counts_K.to(logits_BKP.dtype).clamp(min=1).log()
        log_shares_KK = (log_counts_K - log_counts_K.unsqueeze(1)).clamp(max=0)

        def rebalance(logits: Tensor, targets: Tensor) -> Tensor:
            # The ratio of two softmax values is the exponential of the difference of their logits.
            # For the true class the difference is 0, so its logit does not change.
            constant = logits.detach()
            ahead = (constant - constant.gather(-2, targets.unsqueeze(-2))).relu()
            share = log_shares_KK.T[:, targets].movedim(0, -2)
            return logits + self.mitigation * share + self.compensation * ahead

        return mean_of_known(shifted_cross_entropy(logits_BKP, targets_BP, rebalance), known_BP)
