"""CenterCollapseLoss: pull the class centers to equal and maximal angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from equiseg.frames import frame
from equiseg.losses.arguments import check_at_least, check_number
from equiseg.losses.center_loss import CenterLoss
from equiseg.losses.cosines import directions
from equiseg.losses.protocol import ClassPrior
from equiseg.losses.seeded_linear import SeededLinear

if TYPE_CHECKING:
    from equiseg.losses.published_center_collapse import PublishedCenterCollapseLoss

_KINDS = ("frozen", "learnable")


class Projection(NamedTuple):
    """A linear map of the centers before the frame.

    Attributes:
        kind: "frozen" (random, seeded) or "learnable".
        dim: Dimension D of the frame. None takes the larger of C and K - 1, where the exact simplex
            exists.
    """

    kind: Literal["frozen", "learnable"]
    dim: int | None = None

    @classmethod
    def of(cls, projection: Any) -> Projection | None:
        """Convert a projection from any accepted form: None, a kind, or a pair (kind, dim).

        Raises:
            ValueError: If it is anything else.
        """
        if projection is None:
            return None
        pair = (projection,) if isinstance(projection, str) else tuple(projection)
        if not 1 <= len(pair) <= 2 or pair[0] not in _KINDS:
            raise ValueError(
                "projection must be None, 'frozen', 'learnable' or a pair such as ('frozen', 512), "
                f"got {projection!r}"
            )
        return cls(*pair)


class CenterCollapseLoss(CenterLoss):
    r"""The center collapse regularizer, for training only.

    It takes the class centers of the input features of the pixel classifier and classifies them
    with a fixed frame of unit vectors at equal and maximal angles (a simplex equiangular tight
    frame):

    .. math:: L = w \cdot \frac{1}{K'} \sum_{k\ \mathrm{present}}
        -\log \mathrm{softmax}_k(s\, M \hat z_k + \log \pi)

    with :math:`\hat z_k` the normalised center. Every present class has the same weight, for any
    number of pixels, so a rare class pulls as hard as the most frequent one. Add it to the pixel
    loss; the pixel classifier stays learnable and the branch is dropped at inference.

    Zhong et al., "Understanding Imbalanced Semantic Segmentation Through Neural Collapse", CVPR
    2023 (arXiv 2301.01100), equation 9. :meth:`published` builds their branch step by step
    (:class:`equiseg.losses.PublishedCenterCollapseLoss`). This loss is simpler: it uses the
    features themselves, without the random maps, the ReLU (with it, no cosine to a random vertex
    exceeds 0.71 on average) and the prior.

    Args:
        num_classes: Number of classes K, at least 2.
        in_features: Channels C of the features.
        weight: Factor on the loss. 0.4 lies between the published 0.2 and 0.8; on val of five
            tasks, two seeds, 0.17 did not differ significantly (docs/explanation/choosing.md).
        scale: Inverse temperature s of the cosine logits. 5, as published; 20 cost 2 points of mIoU
            on val of two tasks, two seeds.
        projection: Linear map of the centers from C to D dimensions before the frame, see
            :class:`Projection`: "frozen" (random, seeded), "learnable", or a pair with the
            dimension, ("learnable", 64). None, the default, compares the centers themselves. For
            K > C + 1, a projection to more dimensions allows the exact simplex.
        prior: (K,) positive class shares; their logarithm is added to the logits. None adds none.
        min_count: Classes with fewer valid pixels in the batch count as absent. 1 drops none.
        ignore_index: Label value to leave out.
        sync: Compute centers over all ranks while training under ``torch.distributed``, so that a
            rare class on one rank is present on all. A process group: over its ranks only (pass
            the group that splits the batch). False: this rank only. Never communicates in eval
            mode. With gradient accumulation each micro-batch has its own centers.
        align_corners: Convention of the (never formed) upsampling of features to labels.
        seed: Seeds the frame and the projection from a private generator: the same on all ranks
            and in all runs. They are not in the state dict: the arguments determine them.

    Raises:
        ValueError: If an argument cannot work; the message says which values can.

    Examples:
        Add it to the pixel loss, on the input of the pixel classifier:

        >>> import torch
        >>> from equiseg import CenterCollapseLoss
        >>> center_loss = CenterCollapseLoss(num_classes=3, in_features=4)
        >>> features = torch.randn(2, 4, 8, 8, requires_grad=True)
        >>> labels = torch.randint(0, 3, (2, 32, 32))
        >>> center_loss(features, labels).backward()

        Centers on the vertices of the frame have the smallest possible loss:

        >>> value = center_loss(center_loss.frame_KD, torch.tensor([0, 1, 2]))
        >>> round(value.item(), 6)
        0.000442
    """

    frame_KD: Tensor
    relu: bool = False
    """Whether centers are clipped at zero before the frame, as in the published branch."""

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        weight: float = 0.4,
        scale: float = 5.0,
        projection: Projection | Literal["frozen", "learnable"] | tuple[str, int] | None = None,
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
        asked = Projection.of(projection)
        dim = in_features if asked is None else asked.dim
        if dim is None:
            dim = max(in_features, num_classes - 1)
        least = 2 if num_classes > 2 else 1
        if asked is not None:
            check_at_least("projection: dim", dim, least)
        else:
            check_at_least("in_features, without a projection,", dim, least)
        generator = torch.Generator().manual_seed(seed)
        self.register_fixed("frame_KD", frame(num_classes, dim, generator=generator))
        self.projection: nn.Module = nn.Identity()
        if asked is not None:
            learnable = asked.kind == "learnable"
            self.projection = SeededLinear(in_features, dim, generator, learnable=learnable)

    @staticmethod
    def published(
        num_classes: int,
        in_features: int,
        *,
        prior: ClassPrior,
        weight: float,
        ignore_index: int = 255,
    ) -> PublishedCenterCollapseLoss:
        """Build the branch as released by its authors, for comparison.

        See :class:`equiseg.losses.PublishedCenterCollapseLoss`, which has the steps as arguments.

        Args:
            num_classes: Number of classes K.
            in_features: Channels C of the features.
            prior: (K,) share of the training images that contain each class.
            weight: 0.8 for Swin-T and 0.2 for Swin-B in the release; no default, as they differ.
            ignore_index: Label value to leave out.

        Raises:
            ValueError: If an argument cannot work, as in the constructor.
        """
        from equiseg.losses.published_center_collapse import PublishedCenterCollapseLoss

        return PublishedCenterCollapseLoss(
            num_classes, in_features, prior=prior, weight=weight, ignore_index=ignore_index
        )

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether training normalises features by the batch, as in the published branch."""
        return False

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """Cross entropy of the direction of each center against the frame."""
        points_KD = directions(self.projection(centers_KD))
        logits_KK = self.scale * points_KD @ self.frame_KD.to(points_KD.dtype).T
        return self.cross_entropies(logits_KK, targets_K)

    def extra_repr(self) -> str:
        """The arguments worth seeing in a printed model."""
        return f"{super().extra_repr()}, scale={self.scale}, dim={self.frame_KD.shape[1]}"
