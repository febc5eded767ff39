"""FeatureLoss: the base of pixel losses over features, which compute the logits themselves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from equiseg.labels import check_inputs, fold_ignored, is_checkable
from equiseg.losses.arguments import check_at_least
from equiseg.losses.pixel_loss import PixelLoss
from equiseg.resize import LINEAR_MODES


class FeatureLoss(PixelLoss):
    """A loss over features and labels that scores pixels with one row per class.

    A subclass implements :meth:`logits`, at the size of the features, and :meth:`of_pixels`, which
    takes these logits resized to the labels. Only K maps are resized, as for cross entropy, never
    the C feature maps.

    Args:
        num_classes: Number of classes K.
        in_features: Channels C of the features.
        ignore_index: Label value to leave out.

    Raises:
        ValueError: If the arguments cannot work.
    """

    def __init__(self, num_classes: int, in_features: int, *, ignore_index: int = 255) -> None:
        super().__init__(num_classes, ignore_index=ignore_index)
        check_at_least("in_features", in_features, 1)
        self.in_features = in_features

    def logits(self, features: Tensor) -> Tensor:
        """(B, K, *spatial) or (N, K) scores of features, in their dtype; the largest wins."""
        raise NotImplementedError(f"{type(self).__name__} must implement logits")

    def forward(self, features: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> Tensor:
        """Scalar loss of one batch; zero, connected to the graph, where nothing is labelled.

        Args:
            features: (B, C, *spatial) input of a pixel classifier, (N, C) points, or (V, C) voxels
                with an ``inverse`` map.
            labels: (B, *Spatial) of the same or a larger size, or (N,).
            inverse: (N,) int64, the voxel of each labelled point.

        Raises:
            TypeError: If dtypes are wrong.
            ValueError: If shapes disagree, the channels are not ``in_features``, or (on eager CPU
                tensors) a label is out of range.
        """
        self.check(features, labels, inverse)
        with torch.autocast(features.device.type, enabled=False):
            features = wide(without_unlabelled(features, labels, inverse, self))
            return self.score(self.logits(features), labels, inverse)

    def check(self, features: Tensor, labels: Tensor, inverse: Tensor | None) -> None:
        """Check the inputs once per forward pass."""
        check_inputs(
            features, labels, self.num_classes, ignore_index=self.ignore_index, inverse=inverse
        )
        check_channels(features, self.in_features)


def check_channels(features: Tensor, in_features: int) -> None:
    """Raise an error if the features do not have ``in_features`` channels.

    Raises:
        ValueError: If the channels are not ``in_features``.
    """
    if features.shape[1] != in_features:
        raise ValueError(
            f"features must have in_features={in_features} channels, got {features.shape[1]} in "
            f"{tuple(features.shape)}; build the loss with in_features={features.shape[1]}"
        )


def without_unlabelled(
    features: Tensor, labels: Tensor, inverse: Tensor | None, loss: PixelLoss
) -> Tensor:
    """Features with zeros where nothing is labelled, if some are not finite (eager, on a CPU).

    Their scores are masked anyway, but zero times infinity is NaN in the gradients.
    """
    if not is_checkable(labels) or bool(features.detach().sum(dtype=torch.float32).isfinite()):
        return features
    known = fold_ignored(labels, loss.num_classes, loss.ignore_index) < loss.num_classes
    if inverse is not None:
        labelled = torch.zeros(len(features), dtype=torch.bool)
        labelled[inverse[known]] = True
    elif known.shape[1:] == features.shape[2:]:
        labelled = known
    else:
        labelled = _reached(known, features.shape[2:])
    return torch.where(labelled.unsqueeze(1), features, 0)


def _reached(known: Tensor, size: torch.Size) -> Tensor:
    """(B, *size) bool, whether a cell has a share in a known label: the resize backwards."""
    with torch.enable_grad():
        cells = torch.zeros(len(known), 1, *size, requires_grad=True)
        larger = F.interpolate(cells, known.shape[1:], mode=LINEAR_MODES[len(size)])
        (shares,) = torch.autograd.grad(larger, cells, known.unsqueeze(1).to(larger.dtype))
    return shares.squeeze(1) > 0


def wide(features: Tensor) -> Tensor:
    """Features in float32 or wider: sums over a batch would overflow half precision."""
    return features.to(torch.promote_types(features.dtype, torch.float32))
