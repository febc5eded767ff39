"""Criterion: what a method minimises, as named parts that add up."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from equiseg.imbalance import ClassStatistics
from equiseg.losses import CenterCollapseLoss, CrossEntropyLoss
from equiseg.training.config import CenterCollapseConfig, TrainConfig


class Criterion(nn.Module):
    """A pixel (point) loss and, for some methods, a regularizer on the last-layer features.

    Args:
        pixel: Loss over (logits, labels).
        regularizer: Loss over (features, labels), or None.
    """

    def __init__(self, pixel: nn.Module, regularizer: nn.Module | None = None) -> None:
        super().__init__()
        self.pixel = pixel
        self.regularizer = regularizer

    def forward(
        self, logits: Tensor, features: Tensor, labels: Tensor, inverse: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The parts of the loss by name; their sum is what is minimised.

        Args:
            logits: (B, K, h, w), or (V, K) of voxels.
            features: What the classifier was given, (B, C, h, w) or (V, C).
            labels: (B, H, W), or (N,) of points.
            inverse: (N,) voxel of every point.
        """
        parts = {"pixel": self.pixel(logits, labels, inverse=inverse)}
        if self.regularizer is not None:
            features = within(features, labels)
            parts["center_collapse"] = self.regularizer(features, labels, inverse=inverse)
        return parts


def within(features: Tensor, labels: Tensor) -> Tensor:
    """Features no larger than the labels.

    A network of stride 1 that stretches the image to its own multiple has features a little
    larger; they are resized as its logits are. Voxels have no size to compare.
    """
    if all(f <= s for f, s in zip(features.shape[2:], labels.shape[1:], strict=True)):
        return features
    return F.interpolate(features, labels.shape[1:], mode="bilinear", align_corners=False)


def build_criterion(
    config: TrainConfig, statistics: ClassStatistics, in_features: int, ignore_index: int
) -> Criterion:
    """The criterion of ``config.method``.

    Args:
        config: The run.
        statistics: Of the training labels; priors come from it.
        in_features: Channels of the last-layer features.
        ignore_index: Label value to leave out.
    """
    num_classes = len(statistics.pixels_K)
    pixel = CrossEntropyLoss(num_classes, ignore_index=ignore_index)
    if config.method == "cross_entropy":
        return Criterion(pixel)
    ceco: CenterCollapseConfig = config.ceco
    if config.method == "ceco_published":
        return Criterion(
            pixel,
            CenterCollapseLoss.published(
                num_classes,
                in_features,
                statistics.image_prior(),
                weight=ceco.weight,
                ignore_index=ignore_index,
            ),
        )
    return Criterion(
        pixel,
        CenterCollapseLoss(
            num_classes,
            in_features,
            weight=ceco.weight,
            scale=ceco.scale,
            dim=ceco.dim,
            projection=ceco.projection,
            prior=statistics.image_prior() if ceco.prior else None,
            min_count=ceco.min_count,
            ignore_index=ignore_index,
            relu=ceco.relu,
        ),
    )
