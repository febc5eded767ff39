"""OhemLoss: learn only from the hard pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.losses.arguments import is_number
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known


class OhemLoss(PixelLoss):
    r"""Cross entropy over the hard pixels: online hard example mining.

    .. math:: L = \frac{1}{|H|} \sum_{p \in H} -\log q_p, \quad
        q_p = \mathrm{softmax}_{y_p}(z_p), \quad
        H = \{p : q_p < t\} \cup \{\text{the } \lceil m P \rceil \text{ pixels of least } q_p\}

    Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining",
    CVPR 2016 (arXiv 1604.03540) for boxes; Wu et al., "Bridging Category-level and Instance-level
    Semantic Image Segmentation", 2016 (arXiv 1605.06885) for pixels.

    Args:
        num_classes: Number of classes K.
        threshold: Probability t of the true class below which a pixel is hard, 0 to 1. 0.7, as
            customary in segmentation; 0 keeps only the hardest share.
        min_kept: Smallest share m of the labelled pixels of the batch to keep, above 0 to 1, so
            that there is a gradient even without errors. 1/16, as customary with crops; a share
            (other code takes a count) means the same for any crop and batch size.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        threshold: float = 0.7,
        min_kept: float = 1 / 16,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        if not (is_number(threshold) and 0 <= threshold <= 1):
            raise ValueError(
                f"threshold must be a probability from 0 to 1, got {threshold!r}; the "
                "default is 0.7"
            )
        if not (is_number(min_kept) and 0 < min_kept <= 1):
            raise ValueError(
                f"min_kept must be a share above 0 and up to 1, got {min_kept!r}; divide a number "
                "of pixels by the pixels of a batch"
            )
        self.threshold = threshold
        self.min_kept = min_kept

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean cross entropy of the hard pixels."""
        losses_P = F.cross_entropy(logits_BKP, targets_BP, reduction="none").flatten()
        known_P = known_BP.flatten()
        ranked_P = torch.where(known_P, losses_P.detach(), -math.inf)
        # Shapes must not depend on the number of labelled pixels: rank the largest possible number
        # and keep the required share. By rank, not by value: many pixels may have a loss of 0.
        most = ranked_P.topk(math.ceil(self.min_kept * len(ranked_P))).indices
        due = torch.arange(len(most), device=most.device) < self.min_kept * known_P.sum()
        hardest_P = torch.zeros_like(known_P).scatter(0, most, due)
        hard_P = ((-ranked_P).exp() < self.threshold) | hardest_P
        return mean_of_known(losses_P, known_P & hard_P)
