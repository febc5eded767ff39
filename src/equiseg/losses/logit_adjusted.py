"""LogitAdjustedLoss: cross entropy of the logits plus the log-prior of the classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from equiseg.losses.arguments import check_number, per_class
from equiseg.losses.pixel_loss import PixelLoss, mean_of_known
from equiseg.losses.protocol import ClassPrior
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy


class LogitAdjustedLoss(PixelLoss):
    r"""Cross entropy of the logits plus tau times the log-prior.

    .. math:: L = \frac{1}{P} \sum_p -\log \mathrm{softmax}_{y_p}(z_p + \tau \log \pi)

    The network need not learn the class frequencies. Its logits, used without the prior, optimise
    the mean accuracy of the classes instead of the accuracy of the pixels.

    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021 (arXiv 2007.07314),
    equation 10. For a network that is already trained, see :func:`adjusted_logits`.

    Args:
        num_classes: Number of classes K.
        prior: (K,) positive pixel shares of the classes in training, as of
            :func:`equiseg.class_prior`; only their ratios matter.
        tau: Strength of the adjustment, >= 0. 1 optimises the mean class accuracy; 0 is cross
            entropy.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    adjusts_logits = True
    log_prior_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        prior: ClassPrior,
        tau: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_number("tau", tau, default=1)
        self.tau = tau
        self.register_fixed("log_prior_K", per_class("prior", prior, num_classes).log())

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Mean cross entropy of the logits plus their log-prior."""
        added_K1 = (self.tau * self.log_prior_K.to(logits_BKP.dtype)).unsqueeze(1)
        losses_BP = shifted_cross_entropy(
            logits_BKP, targets_BP, lambda logits, _: logits + added_K1
        )
        return mean_of_known(losses_BP, known_BP)


def adjusted_logits(logits: Tensor, *, prior: Tensor | Sequence[float], tau: float = 1.0) -> Tensor:
    r"""Subtract tau times the log-prior from the logits of a trained network.

    Post-hoc logit adjustment, :math:`z - \tau \log \pi` (Menon et al. 2021, equation 9): predict
    the class with the largest adjusted logit where every class counts the same. Nothing is trained.

    Args:
        logits: (B, K, *spatial) or (N, K), of a network trained with plain cross entropy.
        prior: (K,) positive pixel shares of the classes in training; only their ratios matter.
        tau: Strength of the adjustment, >= 0. 1 by the theory; a value between 0 and 1, chosen on
            validation data, trades the head against the tail.

    Returns:
        Adjusted logits, with the shape and dtype of the input.

    Raises:
        ValueError: If the prior does not fit the logits, or tau is negative.
    """
    check_number("tau", tau, default=1)
    log_prior_K = per_class("prior", prior, logits.shape[1]).log().to(logits)
    return logits - tau * log_prior_K.view(-1, *[1] * (logits.ndim - 2))
