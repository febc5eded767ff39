"""BalancedSoftmaxLoss: logit adjustment at tau = 1 under its other published name."""

from __future__ import annotations

from equiseg.losses.logit_adjusted import LogitAdjustedLoss
from equiseg.losses.protocol import ClassPrior


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    r"""Cross entropy of a softmax that weights each class by its count.

    .. math:: L = \frac{1}{P} \sum_p -\log \frac{n_{y_p} e^{z_{p y_p}}}{\sum_k n_k e^{z_{pk}}}

    Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020 (arXiv
    2007.10740). With n the pixels of each class in training this is
    :class:`LogitAdjustedLoss` with tau = 1. Their meta-learned sampler is not included.

    Args:
        num_classes: Number of classes K.
        prior: (K,) positive pixel counts n of the classes in training, or their shares; only
            ratios matter.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def __init__(self, num_classes: int, *, prior: ClassPrior, ignore_index: int = 255) -> None:
        super().__init__(num_classes, prior=prior, tau=1.0, ignore_index=ignore_index)
