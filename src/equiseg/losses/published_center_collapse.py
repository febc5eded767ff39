"""PublishedCenterCollapseLoss: the center branch as its authors released it, for comparison."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.frames import frame
from equiseg.losses.arguments import check_at_least, check_number, is_number
from equiseg.losses.center_collapse import CenterCollapseLoss
from equiseg.losses.center_loss import CenterLoss
from equiseg.losses.cosines import directions
from equiseg.losses.fixed_buffers import FixedBuffers
from equiseg.losses.protocol import ClassPrior
from equiseg.losses.seeded_linear import SeededLinear, draw


class PublishedCenterCollapseLoss(CenterCollapseLoss):
    r"""The center collapse branch as released by its authors, for comparison.

    A frozen random 1x1 convolution to 128 channels with batch normalisation, upsampling with
    aligned corners, centers of the present classes of this rank, a frozen random linear map to 512
    dimensions with ReLU, normalisation, dropout 0.1, a fixed simplex classifier at scale 5, and the
    log-prior. The result is the published one; the upsampled features are never formed.

    .. math:: L = w \cdot \frac{1}{K'} \sum_{k\ \mathrm{present}}
        -\log \mathrm{softmax}_k(s\, M\, \mathrm{drop}(\hat u_k) + \log \pi), \quad
        u_k = \mathrm{ReLU}(A z_k + b)

    Zhong et al., "Understanding Imbalanced Semantic Segmentation Through Neural Collapse", CVPR
    2023 (arXiv 2301.01100), and their code.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        prior: (K,) share of the training images that contain each class.
        weight: Factor on the loss. 0.8 for Swin-T and 0.2 for Swin-B in the release; no default, as
            they differ.
        reduce: Channels of the frozen 1x1 convolution, 128 as released. Its batch statistics use
            this rank only.
        dim: Dimension D of the frame and of the frozen linear map, 512 as released.
        relu: Clip the projected centers at zero, as released.
        dropout: Dropout on the normalised centers, 0.1 as released.
        ignore_index: Label value to leave out.
        seed: Seeds the frame and the frozen maps from a private generator.

    Raises:
        ValueError: If an argument cannot work; the message says which values can.
    """

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        prior: ClassPrior,
        weight: float,
        reduce: int = 128,
        dim: int = 512,
        relu: bool = True,
        dropout: float = 0.1,
        ignore_index: int = 255,
        seed: int = 0,
    ) -> None:
        # Skips the parent's __init__, which draws frame and projection in another order and size.
        CenterLoss.__init__(
            self,
            num_classes,
            in_features,
            weight=weight,
            prior=prior,
            ignore_index=ignore_index,
            sync=False,
            align_corners=True,
        )
        check_number("weight", weight, default=0.8)
        check_at_least("reduce", reduce, 1)
        check_at_least("dim", dim, 2 if num_classes > 2 else 1)
        if not (is_number(dropout) and 0 <= dropout < 1):
            raise ValueError(f"dropout must be in [0, 1), got {dropout!r}; 0 switches it off")
        self.scale = 5.0
        self.relu = relu
        generator = torch.Generator().manual_seed(seed)
        self.register_fixed("frame_KD", frame(num_classes, dim, generator=generator))
        self.reduction = _FrozenReduction(in_features, reduce, generator)
        self.projection: nn.Module = SeededLinear(reduce, dim, generator, learnable=False)
        self.dropout = nn.Dropout(dropout)

    @property
    def uses_batch_statistics(self) -> bool:
        """The frozen convolution is followed by batch normalisation."""
        return True

    def before_averaging(self, features: Tensor) -> Tensor:
        """The features after the frozen convolution and batch normalisation."""
        reduced: Tensor = self.reduction(features)
        return reduced

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """Cross entropy of the direction of each projected center against the frame."""
        points_KD = self.projection(centers_KD)
        if self.relu:
            points_KD = points_KD.relu()
        points_KD = self.dropout(directions(points_KD))
        logits_KK = self.scale * points_KD @ self.frame_KD.to(points_KD.dtype).T
        return self.cross_entropies(logits_KK, targets_K)


class _FrozenReduction(FixedBuffers):
    """A frozen random 1x1 convolution and batch normalisation, in any number of dimensions.

    Batch statistics in training and running ones in evaluation, as ``nn.BatchNorm2d``, which
    could not follow the dtype of its input.
    """

    weight: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: int, target: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_fixed("weight", draw((target, source), source, generator))
        self.register_buffer("running_mean", torch.zeros(target))
        self.register_buffer("running_var", torch.ones(target))

    def forward(self, features: Tensor) -> Tensor:
        points = features.ndim == 2
        rows = features.T.unsqueeze(0) if points else features.flatten(2)
        if rows.dtype != torch.float64:
            rows = rows.float()
        rows = self.weight.to(rows.dtype) @ rows
        # Copies: autograd saves its inputs, and the buffers are about to change.
        mean = self.running_mean.to(rows.dtype, copy=True)
        var = self.running_var.to(rows.dtype, copy=True)
        # One position has no variance, zero positions have no mean.
        learning = self.training and rows.shape[0] * rows.shape[2] > 1
        rows = F.batch_norm(rows, mean, var, training=learning)
        if learning:
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return rows[0].T if points else rows.reshape(rows.shape[:2] + features.shape[2:])
