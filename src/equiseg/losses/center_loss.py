"""CenterLoss: the base of losses over class centers: checks, centers, ranks, prior, mean."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from equiseg.centers.centers import mean_by_class
from equiseg.centers.label_sides import LabelSide
from equiseg.centers.sums import Labelling
from equiseg.labels import check_num_classes, check_shapes, is_checkable
from equiseg.losses.arguments import check_at_least, per_class
from equiseg.losses.feature_loss import check_channels
from equiseg.losses.fixed_buffers import FixedBuffers
from equiseg.losses.protocol import ClassPrior
from equiseg.ranks import summing_group

# Logits in memory at once, 64 MB: all logits up to 4,096 classes; with more classes, the logits of
# a block of rows, which backward recomputes.
_MOST_LOGITS = 2**24


class CenterLoss(FixedBuffers):
    """A loss over features and labels with one sample per present class: its center.

    A subclass implements :meth:`of_centers`. It receives the exact mean feature of each class over
    all ranks, in float32 (float64 stays) under any autocast. All present classes have the same
    weight, for any number of pixels. Add the loss to a pixel loss; it is dropped at inference.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        weight: Factor on the loss.
        prior: (K,) positive class shares, whose logarithm :meth:`cross_entropies` adds to the
            logits. None adds none.
        min_count: Classes with fewer valid pixels in the batch count as absent.
        ignore_index: Label value to leave out.
        sync: Compute centers over all ranks while training under ``torch.distributed``. A process
            group: over its ranks only. False: this rank only.
        align_corners: Convention of the (never formed) upsampling of features to labels.

    Raises:
        ValueError: If an argument cannot work.
    """

    log_prior_K: Tensor | None

    def __init__(
        self,
        num_classes: int,
        in_features: int,
        *,
        weight: float = 1.0,
        prior: ClassPrior | None = None,
        min_count: int = 1,
        ignore_index: int = 255,
        sync: bool | dist.ProcessGroup = True,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        check_num_classes(num_classes, ignore_index)
        check_at_least("in_features", in_features, 1)
        check_at_least("min_count", min_count, 1)
        self.num_classes = num_classes
        self.in_features = in_features
        self.weight = weight
        self.min_count = min_count
        self.ignore_index = ignore_index
        self.sync = sync
        self.align_corners = align_corners
        log_prior_K = None if prior is None else per_class("prior", prior, num_classes).log()
        self.register_fixed("log_prior_K", log_prior_K)

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        inverse: Tensor | None = None,
        label_side: LabelSide | None = None,
    ) -> Tensor:
        """The loss of one batch, multiplied by ``weight``.

        Args:
            features: (B, C, *spatial) input of the pixel classifier, (N, C) points, or (V, C)
                voxels with an ``inverse`` map.
            labels: (B, *Spatial) integer ids of the same or a larger size, or (N,).
            inverse: (N,) int64, the voxel of each labelled point.
            label_side: The result of :func:`equiseg.label_side` for these labels, with the
                ``ignore_index`` and ``align_corners`` of this loss. Compute it in a data worker, or
                once for labels that do not change.

        Returns:
            Scalar in float32 (float64 for float64 features). Zero, still connected to the graph,
            when no class is present.

        Raises:
            TypeError: If dtypes are wrong.
            ValueError: If shapes disagree, the channels are not ``in_features``, ``label_side``
                was made for other maps, or (on eager CPU tensors) a label is neither a class nor
                ``ignore_index`` or a labelled feature is not finite.
        """
        check_shapes(features, labels, inverse)
        check_channels(features, self.in_features)
        labelling = Labelling(
            labels, self.num_classes, self.ignore_index, self.align_corners, inverse
        )
        # Autocast would round the mean to half precision and hardly save time on so few centers.
        with torch.autocast(features.device.type, enabled=False):
            centers = mean_by_class(
                self.before_averaging(features),
                labelling,
                label_side,
                summing_group(self.sync) if self.training else None,
                checked=False,
            )
            present_K = centers.counts_K >= self.min_count
            if is_checkable(labels):
                _check_finite(centers.centers_KD, present_K)
            return self._score(centers.centers_KD, present_K)

    def before_averaging(self, features: Tensor) -> Tensor:
        """The features to average: by default the input features; a subclass may change them."""
        return features

    def of_centers(self, centers_KD: Tensor, targets_K: Tensor) -> Tensor:
        """The loss of each center; their mean over the present classes is the loss.

        Args:
            centers_KD: (K', D) centers of all or some classes, in float32 or float64.
            targets_K: (K',) int64, the class of each.

        Returns:
            (K',) losses; each depends only on its own center.
        """
        raise NotImplementedError

    def cross_entropies(
        self, logits_KK: Tensor, targets_K: Tensor, *, smoothing: float = 0.0
    ) -> Tensor:
        """(K',) cross entropies of the centers' logits plus the log-prior.

        Args:
            logits_KK: (K', K) logits of the centers.
            targets_K: (K',) int64, the class of each.
            smoothing: Share of the target spread evenly over all classes, the true one included.
        """
        if self.log_prior_K is not None:
            logits_KK = logits_KK + self.log_prior_K.to(logits_KK.dtype)
        return F.cross_entropy(logits_KK, targets_K, reduction="none", label_smoothing=smoothing)

    def _score(self, centers_KD: Tensor, present_K: Tensor) -> Tensor:
        """Mean loss of the present centers, times the weight."""
        targets_K = torch.arange(self.num_classes, device=centers_KD.device)
        if is_checkable(present_K):
            # Presence can be read here without a wait: score only the present classes.
            centers_KD, targets_K = centers_KD[present_K], targets_K[present_K]
            present_K = present_K[present_K]
        if len(targets_K) * self.num_classes <= _MOST_LOGITS:
            losses_K = self.of_centers(centers_KD, targets_K)
        else:
            size = max(1, _MOST_LOGITS // self.num_classes)
            rows = [slice(start, start + size) for start in range(0, len(targets_K), size)]
            losses_K = torch.cat(
                [
                    checkpoint(
                        self.of_centers, centers_KD[block], targets_K[block], use_reentrant=False
                    )
                    for block in rows
                ]
            )
        return self.weight * (losses_K * present_K).sum() / present_K.sum().clamp(min=1)

    def extra_repr(self) -> str:
        """The arguments worth seeing in a printed model."""
        return (
            f"num_classes={self.num_classes}, in_features={self.in_features}, weight={self.weight}"
        )


def _check_finite(centers_KD: Tensor, present_K: Tensor) -> None:
    """Raise an error where labelled features are NaN or infinite, or the sum of a class is."""
    finite_K = centers_KD.detach().isfinite().all(1)
    if bool((present_K & ~finite_K).any()):
        raise ValueError(
            "features hold NaN or infinite values where there are labels; lower the learning rate, "
            "clip the gradient, or look for the first layer with such an output"
        )
