"""LearnableCenterLoss: the center branch with a learnable classifier, for comparison."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equiseg.frames import frame
from equiseg.losses.arguments import check_number
from equiseg.losses.center_loss import CenterLoss
from equiseg.losses.cosines import directions
from equiseg.losses.protocol import ClassPrior


class LearnableCenterLoss(CenterLoss):
    r"""The center branch with a learnable classifier: the ablation of ``CenterCollapseLoss``.

    .. math:: L = w \cdot \frac{1}{K'} \sum_{k\ \mathrm{present}}
        -\log \mathrm{softmax}_k(s\, W \hat z_k + \log \pi)

    It starts as the center collapse loss, with the rows of the frame. The difference: its rows are
    a learnable parameter, of any length. Their gradient, :math:`(p_k(z_k) - 1) z_k + \sum_{k' \neq
    k} p_k(z_{k'}) z_{k'}`, has a sum over all other classes, which dominates for a class that is
    seldom present: the argument of Zhong et al. (CVPR 2023, arXiv 2301.01100) for a fixed frame.
    Give its parameters to the optimizer.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        weight: Factor on the loss, as for the center collapse loss.
        scale: Inverse temperature s, as for the center collapse loss; multiplied by the length of
            the rows.
        prior: (K,) positive class shares; their logarithm is added to the logits. None adds none.
        min_count: Classes with fewer valid pixels in the batch count as absent.
        ignore_index: Label value to leave out.
        sync: Compute centers over all ranks while training under ``torch.distributed``. A process
            group: over its ranks only. False: this rank only.
        align_corners: Convention of the (never formed) upsampling of features to labels.
        seed: Seeds the initial rows.

    Raises:
        ValueError: If an argument cannot work.
    """

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        weight: float = 0.4,
        scale: float = 5.0,
        prior: ClassPrior | None = None,
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
        check_number("weight", weight, default=0.4)
        check_number("scale", scale, default=5)
        self.scale = scale
        generator = torch.Generator().manual_seed(seed)
        self.rows_KD = nn.Parameter(frame(num_classes, in_features, generator=generator))

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """Cross entropy of the direction of each center against the rows."""
        logits_KK = self.scale * directions(centers_KD) @ self.rows_KD.to(centers_KD.dtype).T
        return self.cross_entropies(logits_KK, targets_K)

    def extra_repr(self) -> str:
        """The arguments worth seeing in a printed model."""
        return f"{super().extra_repr()}, scale={self.scale}"
