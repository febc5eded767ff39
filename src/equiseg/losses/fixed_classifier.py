"""FixedClassifierLoss: cross entropy of a pixel classifier with fixed rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.frames import frame
from equiseg.losses.arguments import check_number
from equiseg.losses.cosines import products
from equiseg.losses.feature_loss import FeatureLoss
from equiseg.losses.pixel_loss import mean_of_known


class FixedClassifierLoss(FeatureLoss):
    r"""Cross entropy of a classifier whose rows are a fixed frame at equal and maximal angles.

    .. math:: L = \mathrm{mean}_i\, -\log \mathrm{softmax}_{y_i}(s\, M h_i)

    with M the rows of the frame (a simplex equiangular tight frame for K <= C + 1, else a softmax
    code), no bias, and features of any length. It replaces the classifier of the network: at
    inference :meth:`logits` is the classifier.

    Zhu et al., "A Geometric Analysis of Neural Collapse with Unconstrained Features", NeurIPS 2021
    (arXiv 2105.02375), fix the last layer this way; Yang et al., NeurIPS 2022 (arXiv 2203.09081),
    do so for imbalanced classes. For pixels, Zhong et al., CVPR 2023 (arXiv 2301.01100), found it
    worse than a learnable classifier and explain this by context: classes that occur together.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features, the dimension of the frame.
        scale: Factor s on the logits. 1, because the free lengths of the features set the scale.
        ignore_index: Label value to leave out.
        seed: Seeds the orientation of the frame.

    Raises:
        ValueError: If an argument cannot work.
    """

    frame_KD: Tensor

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        scale: float = 1.0,
        ignore_index: int = 255,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes, in_features, ignore_index=ignore_index)
        check_number("scale", scale, default=1, positive=True)
        generator = torch.Generator().manual_seed(seed)
        self.register_fixed("frame_KD", frame(num_classes, in_features, generator=generator))
        self.scale = scale

    def logits(self, features: Tensor) -> Tensor:
        """(B, K, *spatial) or (N, K) logits of features: the classifier, also at inference."""
        return products(features, self.classifier_rows)

    @property
    def classifier_rows(self) -> Tensor:
        """(K, C) rows of the linear classifier that predicts; it has no bias."""
        return self.scale * self.frame_KD

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        return mean_of_known(F.cross_entropy(logits_BKP, targets_BP, reduction="none"), known_BP)
