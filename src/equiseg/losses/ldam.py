"""LdamLoss: larger margins for rarer classes, with deferred reweighting."""

from __future__ import annotations

from torch import Tensor

from equiseg.imbalance import ClassStatistics, class_weights
from equiseg.losses.arguments import check_number, per_class
from equiseg.losses.protocol import ClassCounts, ClassWeight
from equiseg.losses.shifted_cross_entropy import shifted_cross_entropy
from equiseg.losses.weighted_cross_entropy import WeightedCrossEntropyLoss

# The last fifth of training, as Cao et al. 2019 published it: epochs 160 to 200.
_REWEIGHT_AFTER = 0.8


class LdamLoss(WeightedCrossEntropyLoss):
    r"""Cross entropy with larger margins for rarer classes, and deferred reweighting.

    .. math:: L = \frac{\sum_p w_{y_p} \cdot
        -\log \mathrm{softmax}_{y_p}(s (z_p - \Delta_{y_p} e_{y_p}))}{\sum_p w_{y_p}},
        \quad \Delta_k = m \left(\min_j n_j / n_k\right)^{1/4}

    Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS
    2019 (arXiv 1906.07413). The weights w are all one until :meth:`begin_epoch` sets
    them in the last fifth of training: the published DRW schedule. The state dict keeps them for a
    resumed run.

    The paper uses a margin of 0.5 at scale 30, for logits that are cosines (a classifier with
    normalised features and rows). The defaults are for an ordinary classifier, whose logits are
    unbounded and learn their own scale; scale 30 would make its gradients 30 times as large.

    Args:
        num_classes: Number of classes K.
        class_counts: (K,) positive pixel counts n of the classes in training, or their shares;
            only ratios matter.
        max_margin: Margin m of the rarest class, in units of the logits. With 2, one of its pixels
            must reach odds of e^2, about 7 to 1, to be scored as even. 0.5, as published, is for
            cosines at scale 30.
        scale: Inverse temperature s. 1 takes the logits as they are; 30, as published, for cosines.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    margin_K: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        class_counts: ClassCounts,
        max_margin: float = 2.0,
        scale: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(num_classes, class_weight=[1.0] * num_classes, ignore_index=ignore_index)
        self.register_buffer("weight_K", self.weight_K)  # it changes in training, so it is saved
        check_number("max_margin", max_margin, default=2)
        check_number("scale", scale, default=1, positive=True)
        self.scale = scale
        counts_K = per_class("class_counts", class_counts, num_classes)
        self.register_fixed("margin_K", max_margin * (counts_K.min() / counts_K) ** 0.25)

    def begin_epoch(self, share: float, statistics: ClassStatistics) -> None:
        """Reweight the classes in the last fifth of training, as published.

        Args:
            share: Share of the training's epochs that are done, in [0, 1].
            statistics: Counts of the training labels.
        """
        if share >= _REWEIGHT_AFTER:
            # Images, not pixels: pixel counts are far beyond the reach of the published beta.
            self.reweight(class_weights(statistics.images_K, "effective_number", beta=0.9999))

    def reweight(self, class_weight: ClassWeight) -> None:
        """Weight the classes from now on; call it once, at about 80% of the epochs.

        The published weights are ``class_weights(counts, "effective_number", beta=0.9999)``.

        Args:
            class_weight: (K,) positive class weights; only their ratios matter.

        Raises:
            ValueError: If there is not one positive weight per class.
        """
        self.weight_K.copy_(per_class("class_weight", class_weight, self.num_classes))

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """Weighted cross entropy after the margins are subtracted."""
        owed_K = self.scale * self.margin_K.to(logits_BKP.dtype)

        def subtract(logits: Tensor, targets: Tensor) -> Tensor:
            return logits.scatter_add(-2, targets.unsqueeze(-2), -owed_K[targets].unsqueeze(-2))

        if self.scale != 1:
            logits_BKP = self.scale * logits_BKP
        losses_BP = shifted_cross_entropy(logits_BKP, targets_BP, subtract)
        return self.weighted_mean(losses_BP, targets_BP, known_BP)
