"""RegionRebalanceLoss: classify the mean feature of each class with an extra linear layer."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.frames import frame
from equiseg.losses.arguments import check_number, is_number
from equiseg.losses.center_loss import CenterLoss
from equiseg.losses.protocol import ClassPrior


class RegionRebalanceLoss(CenterLoss):
    r"""Auxiliary classification of the mean feature of each class, for training only.

    .. math:: L = w \cdot \frac{1}{K'} \sum_{k\ \mathrm{present}} -\sum_j t_{kj}
        \log \mathrm{softmax}_j(W z_k + b + \log \pi), \quad
        t_{kk} = 1 - \epsilon,\ t_{kj} = \tfrac{\epsilon}{K - 1}

    with :math:`z_k` the mean feature, not normalised, and W, b learned: a class is one region of
    any size, and the log-prior corrects the remaining imbalance of regions. Add it to the pixel
    loss, and give its parameters to the optimizer.

    Cui et al., "Region Rebalance for Long-Tailed Semantic Segmentation", 2022 (arXiv 2204.01969).
    Scale, weight, smoothing and prior are as in the linear variant released with CeCo, but W and b
    learn. Left out of the code of the authors: regions predicted by the network, which it also
    classifies and adds to the logits at inference; a hidden layer in front of W; a class K + 1 of
    ignored pixels; labels resized down to the features.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        prior: (K,) positive class shares pi; shares of images, as released
            (:meth:`equiseg.ClassStatistics.image_prior`). Only their ratios matter.
        weight: Factor w on the loss. 1, as released.
        smoothing: Share epsilon of the target for the other classes. 0.5, as released; below
            1 - 1/K, so that the true class keeps the largest share.
        min_count: Classes with fewer valid pixels in the batch count as absent.
        ignore_index: Label value to leave out.
        sync: Compute regions over all ranks while training under ``torch.distributed``. A process
            group: over its ranks only. False: this rank only.
        align_corners: Convention of the (never formed) upsampling of features to labels.
        seed: Seeds the initial rows, a frame.

    Raises:
        ValueError: If an argument cannot work.
    """

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        prior: ClassPrior,
        weight: float = 1.0,
        smoothing: float = 0.5,
        min_count: int = 1,
        ignore_index: int = 255,
        sync: bool | dist.ProcessGroup = True,
        align_corners: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            num_classes,
            in_features,
            weight=weight,
            prior=prior,
            min_count=min_count,
            ignore_index=ignore_index,
            sync=sync,
            align_corners=align_corners,
        )
        check_number("weight", weight, default=1)
        if not (is_number(smoothing) and 0 <= smoothing < 1 - 1 / num_classes):
            raise ValueError(
                f"smoothing must be at least 0 and below 1 - 1/num_classes = "
                f"{1 - 1 / num_classes:.3g}, where all classes get the same target, got "
                f"{smoothing!r}; 0 switches it off"
            )
        self.smoothing = smoothing
        generator = torch.Generator().manual_seed(seed)
        self.rows_KD = nn.Parameter(frame(num_classes, in_features, generator=generator))
        self.bias_K = nn.Parameter(torch.zeros(num_classes))

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """Cross entropy of each region against its smoothed target."""
        dtype = centers_KD.dtype
        logits_KK = F.linear(centers_KD, self.rows_KD.to(dtype), self.bias_K.to(dtype))
        # Spread over all K classes, this share leaves epsilon to the other K - 1.
        spread = self.smoothing * self.num_classes / (self.num_classes - 1)
        return self.cross_entropies(logits_KK, targets_K, smoothing=spread)
