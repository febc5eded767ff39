"""DotRegressionLoss: pull the feature of every pixel to the fixed direction of its class."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.frames import frame
from equiseg.losses.cosines import cosines
from equiseg.losses.feature_loss import FeatureLoss
from equiseg.losses.pixel_loss import mean_of_known


class DotRegressionLoss(FeatureLoss):
    r"""Squared difference between one and the cosine of a feature to the vertex of its class.

    .. math:: L = \mathrm{mean}_i\, \tfrac{1}{2} (\hat h_i^T m_{y_i} - 1)^2

    with :math:`\hat h` the normalised feature and m the rows of the frame (a simplex equiangular
    tight frame for K <= C + 1, else a softmax code). It only pulls: no term pushes a feature away
    from other classes, whose vertices are far by construction, and the pull vanishes at the vertex.

    Yang et al., "Inducing Neural Collapse in Imbalanced Learning: Do We Really Need a Learnable
    Classifier at the End of Deep Neural Network?", NeurIPS 2022 (arXiv 2203.09081); with normalised
    features, as here, Yang et al., ICLR 2023 (arXiv 2302.03004). In the loss of the first paper
    features keep their length, which then weights the pixels and gets no gradient; its CIFAR models
    normalise them before. Its default also scales each target by sqrt(batch / (K' n_k)), which
    balances the classes within a batch; that is left out here.

    If the labels are larger than the features, the cosines are resized, not the features. The
    result is the same if both have one size, for points, and inside a region of equal features.

    At inference the cosines, :meth:`logits`, replace the logits of a classifier. A network whose
    linear classifier has :attr:`classifier_rows` predicts the same classes at the stride of the
    features, where all products of a feature are its length times its cosines. After resizing, long
    features outweigh short ones, and predictions can differ near borders. Its softmax is not a
    calibrated probability, because the length of the features was never trained.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features, the dimension of the frame.
        ignore_index: Label value to leave out.
        seed: Seeds the orientation of the frame.

    Raises:
        ValueError: If an argument cannot work.
    """

    frame_KD: Tensor

    def __init__(
        self, num_classes: int, in_features: int, *, ignore_index: int = 255, seed: int = 0
    ) -> None:
        super().__init__(num_classes, in_features, ignore_index=ignore_index)
        generator = torch.Generator().manual_seed(seed)
        self.register_fixed("frame_KD", frame(num_classes, in_features, generator=generator))

    def logits(self, features: Tensor) -> Tensor:
        """(B, K, *spatial) or (N, K) cosines of features with the frame."""
        return cosines(features, self.frame_KD)

    @property
    def classifier_rows(self) -> Tensor:
        """(K, C) rows of the linear classifier with the same predictions at the feature stride."""
        return self.frame_KD

    def of_pixels(self, logits_BKP: Tensor, targets_BP: Tensor, known_BP: Tensor) -> Tensor:
        """See the class."""
        own_BP = logits_BKP.gather(1, targets_BP.unsqueeze(1)).squeeze(1)
        return mean_of_known((own_BP - 1).square() / 2, known_BP)
