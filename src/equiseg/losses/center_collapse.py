"""CenterCollapseLoss: pull the class centers to equal and maximal angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.frames import frame
from equiseg.losses.arguments import check_at_least, check_number, is_number
from equiseg.losses.center_loss import CenterLoss
from equiseg.losses.feature_loss import directions


class CenterCollapseLoss(CenterLoss):
    r"""The center collapse regularizer, for training only.

    Takes the class centers of the features before the pixel classifier and scores them against a
    fixed frame of unit vectors at equal and maximal angles (a simplex equiangular tight frame):

    .. math:: L = w \cdot \frac{1}{K'} \sum_{k\ \mathrm{present}}
        -\log \mathrm{softmax}_k(s\, M \hat z_k + \log \pi)

    with :math:`\hat z_k` the normalised center. Every present class weighs the same however few
    pixels it has, so a rare class pulls as hard as the road. Add it to the pixel loss; the pixel
    classifier stays learnable and the branch is dropped at inference.

    Zhong et al., "Understanding Imbalanced Semantic Segmentation Through Neural Collapse", CVPR
    2023 (arXiv 2301.01100). :meth:`published` builds their branch step by step; the defaults here
    are simpler: the features themselves, without the random maps, the ReLU (under which no cosine
    to a random vertex passes 0.71 on average) and the prior.

    Args:
        num_classes: Number of classes K, at least 2.
        in_features: Channels C of the features.
        weight: Factor on the loss. 0.4 lies between the published 0.2 and 0.8; on val of five
            tasks, two seeds, 0.17 was not told apart from it (docs/choosing.md).
        scale: Inverse temperature s of the cosine logits. 5, as published; 20 cost 2 points of mIoU
            on val of two tasks, two seeds.
        dim: Dimension D of the frame. None takes ``in_features`` without a projection; with one,
            the larger of ``in_features`` and K - 1, where the exact simplex exists.
        projection: Linear map C -> D of the centers before the frame: "none", "frozen" (random,
            seeded) or "learnable". "none" needs ``dim`` to be ``in_features`` (or ``reduce``).
        prior: (K,) positive class shares; their logarithm is added to the logits. None adds none.
        min_count: Classes with fewer valid pixels in the batch count as absent. 1 drops none.
        ignore_index: Label value to leave out.
        sync: Take centers over all ranks while training under ``torch.distributed``, so that a
            rare class on one rank is present on all. Never communicates in eval mode. With
            gradient accumulation each micro-batch has centers of its own.
        process_group: The ranks that ``sync`` takes together: those among which the batch is
            split. None takes all.
        reduce: Channels of a frozen random 1x1 convolution with batch normalisation ahead of the
            averaging, as published with 128. None averages the features as they are. Its batch
            statistics are of this rank, also with ``sync``.
        relu: Clip the projected centers at zero, as published.
        dropout: Dropout on the normalised centers, as published with 0.1.
        align_corners: Convention of the (never formed) upsampling of features to labels.
        seed: Seeds the frame and the frozen maps from a private generator: the same on all ranks
            and in all runs, and saved in the state dict.

    Raises:
        ValueError: If an argument cannot work; the message says which values can.
    """

    frame_KD: Tensor

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        weight: float = 0.4,
        scale: float = 5.0,
        dim: int | None = None,
        projection: Literal["none", "frozen", "learnable"] = "none",
        prior: Tensor | Sequence[float] | None = None,
        min_count: int = 1,
        ignore_index: int = 255,
        sync: bool = True,
        process_group: dist.ProcessGroup | None = None,
        reduce: int | None = None,
        relu: bool = False,
        dropout: float = 0.0,
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
            process_group=process_group,
            align_corners=align_corners,
        )
        check_number("weight", weight, default=0.4)
        check_number("scale", scale, default=5)
        if reduce is not None:
            check_at_least("reduce", reduce, 1)
        if not (is_number(dropout) and 0 <= dropout < 1):
            raise ValueError(f"dropout must be in [0, 1), got {dropout!r}; 0 switches it off")
        if projection not in ("none", "frozen", "learnable"):
            raise ValueError(
                f"projection must be 'none', 'frozen' or 'learnable', got {projection!r}"
            )
        center_features = in_features if reduce is None else reduce
        if dim is None:
            lifted = max(center_features, num_classes - 1)
            dim = center_features if projection == "none" else lifted
        check_at_least("dim", dim, 2 if num_classes > 2 else 1)
        if projection == "none" and dim != center_features:
            raise ValueError(
                f"dim must be {center_features}, the channels of the centers, when projection is "
                f"'none', got {dim}; use projection='frozen' or 'learnable' to reach {dim}"
            )

        self.scale = scale
        self.relu = relu
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("frame_KD", frame(num_classes, dim, generator=generator))
        self.reduction: nn.Module = nn.Identity()
        if reduce is not None:
            self.reduction = _FrozenReduction(in_features, reduce, generator)
        self.projection: nn.Module = nn.Identity()
        if projection != "none":
            learnable = projection == "learnable"
            self.projection = _SeededLinear(center_features, dim, generator, learnable=learnable)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def published(
        cls,
        num_classes: int,
        in_features: int,
        prior: Tensor | Sequence[float],
        *,
        weight: float,
        ignore_index: int = 255,
    ) -> CenterCollapseLoss:
        """The branch as its authors released it, to compare against.

        A frozen random 1x1 convolution to 128 channels with batch normalisation, upsampling with
        aligned corners, centers of the present classes of this rank, a frozen random linear map
        to 512 with ReLU, normalisation, dropout 0.1, a fixed simplex classifier at scale 5, and
        the log-prior. The result is the published one; the upsampled features are not formed.

        Args:
            num_classes: Number of classes K.
            in_features: Channels of the features.
            prior: (K,) share of the training images that contain each class.
            weight: 0.8 for Swin-T and 0.2 for Swin-B in the release; no default, as they differ.
            ignore_index: Label value to leave out.

        Raises:
            ValueError: As the constructor.
        """
        return cls(
            num_classes,
            in_features,
            weight=weight,
            prior=prior,
            ignore_index=ignore_index,
            reduce=128,
            dim=512,
            projection="frozen",
            relu=True,
            dropout=0.1,
            align_corners=True,
            sync=False,
        )

    def before_averaging(self, features: Tensor) -> Tensor:
        """The features, reduced as published where ``reduce`` asks for it."""
        reduced: Tensor = self.reduction(features)
        return reduced

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """Cross entropy of each center against the frame."""
        points_KD = self.projection(centers_KD)
        if self.relu:
            points_KD = points_KD.relu()
        points_KD = self.dropout(directions(points_KD))
        logits_KK = self.scale * points_KD @ self.frame_KD.to(points_KD.dtype).T
        return self.cross_entropies(logits_KK, targets_K)

    def extra_repr(self) -> str:
        """The arguments worth seeing in a printed model."""
        return f"{super().extra_repr()}, scale={self.scale}, dim={self.frame_KD.shape[1]}"


class _SeededLinear(nn.Module):
    """A linear map drawn from the given generator; the global one is left alone.

    A frozen map is held in buffers: it moves and saves with the module, and no optimizer sees it.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, source: int, target: int, generator: torch.Generator, *, learnable: bool
    ) -> None:
        super().__init__()
        weight = _draw((target, source), source, generator)
        bias = _draw((target,), source, generator)
        if learnable:
            self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        else:
            self.register_buffer("weight", weight)
            self.register_buffer("bias", bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight.to(inputs.dtype), self.bias.to(inputs.dtype))


class _FrozenReduction(nn.Module):
    """A frozen random 1x1 convolution and batch normalisation, in any number of dimensions.

    Batch statistics in training and running ones in evaluation, as ``nn.BatchNorm2d``, which
    could not follow the dtype of its input.
    """

    weight: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: int, target: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("weight", _draw((target, source), source, generator))
        self.register_buffer("running_mean", torch.zeros(target))
        self.register_buffer("running_var", torch.ones(target))

    def forward(self, features: Tensor) -> Tensor:
        points = features.ndim == 2
        rows = features.T.unsqueeze(0) if points else features.flatten(2)
        if rows.dtype != torch.float64:
            rows = rows.float()
        rows = self.weight.to(rows.dtype) @ rows
        # Copies: autograd keeps what it is given, and the buffers are about to change.
        mean = self.running_mean.to(rows.dtype, copy=True)
        var = self.running_var.to(rows.dtype, copy=True)
        # One position has no variance, and none has no mean.
        learning = self.training and rows.shape[0] * rows.shape[2] > 1
        rows = F.batch_norm(rows, mean, var, training=learning)
        if learning:
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return rows[0].T if points else rows.reshape(rows.shape[:2] + features.shape[2:])


def _draw(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    """The start of ``nn.Linear`` and ``nn.Conv2d``: uniform within 1 / sqrt(fan-in)."""
    bound = fan_in**-0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
