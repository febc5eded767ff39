"""IoU image by image, and its result over a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.means import by_class_name, group_means, mean_known

_WORST = (25, 5)  # percent
_GROUPS = ("head", "common", "tail")
NUMBERS = (
    "image_miou",
    *(f"image_miou_worst_{share}" for share in _WORST),
    "image_class_miou",
    *(f"{group}_image_iou" for group in _GROUPS),
)
"""Names of the numbers that one result is asked for."""


@dataclass(frozen=True)
class ImageResult:
    """IoU image by image, as fractions; NaN where there is nothing to score.

    Attributes:
        miou_I: (I,) float64, ascending: mean IoU of each image over the classes labelled in it.
        iou_K: (K,) float64 mean IoU of each class over the images in which it is labelled.
        images_K: (K,) int64, the number of these images.
        miou: Mean of ``miou_I``.
        worst_25: Mean of the lowest quarter of ``miou_I``.
        worst_5: Mean of its lowest twentieth.
        class_miou: Mean of ``iou_K``.
        by_group: Means of ``iou_K`` over head, common and tail.
        groups: The classes of each group.
    """

    miou_I: Tensor
    iou_K: Tensor
    images_K: Tensor
    miou: float
    worst_25: float
    worst_5: float
    class_miou: float
    by_group: Mapping[str, float]
    groups: FrequencyGroups

    @classmethod
    def of_images(cls, ious_IK: Tensor, groups: FrequencyGroups | None = None) -> ImageResult:
        """The result of the IoUs of all images.

        Args:
            ious_IK: (I, K) of :func:`image_ious`, on the CPU.
            groups: Head, common and tail; None takes thirds by the number of images of a class.
        """
        labelled_IK = ~ious_IK.isnan()
        images_K = labelled_IK.sum(0)
        groups = groups or FrequencyGroups.from_counts(images_K)
        # Sorted first: the same images in another order have the same sums.
        sums_K = ious_IK.nan_to_num(0).sort(0).values.sum(0)
        iou_K = sums_K / images_K  # 0 / 0 is the NaN that is meant
        miou_I = ious_IK[labelled_IK.any(1)].nanmean(1).sort().values
        worst_25, worst_5 = (miou_I[: math.ceil(len(miou_I) * share / 100)] for share in _WORST)
        return cls(
            miou_I=miou_I,
            iou_K=iou_K,
            images_K=images_K,
            miou=mean_known(miou_I)[0],
            worst_25=mean_known(worst_25)[0],
            worst_5=mean_known(worst_5)[0],
            class_miou=mean_known(iou_K)[0],
            by_group=group_means(iou_K, groups),
            groups=groups,
        )

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The means by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``image_iou/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.
        """
        numbers = {"image_miou": self.miou, "image_class_miou": self.class_miou}
        numbers |= {
            f"image_miou_worst_{share}": getattr(self, f"worst_{share}") for share in _WORST
        }
        numbers |= {f"{group}_image_iou": mean for group, mean in self.by_group.items()}
        return numbers | by_class_name("image_iou", self.iou_K, classes)


def image_ious(predicted: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """(B, K) float64 IoU of the classes labelled in each image; NaN for the others.

    Args:
        predicted: (B, *spatial) class ids.
        truth: (B, *spatial) class ids; K where there is no label.
        num_classes: Number of classes K.
    """
    batch, width = len(truth), num_classes + 1
    row_B1 = torch.arange(batch, device=truth.device).unsqueeze(1) * width

    def counted(ids: Tensor) -> Tensor:
        counts = torch.bincount((row_B1 + ids.flatten(1)).flatten(), minlength=batch * width)
        return counts.view(batch, width)[:, :num_classes]

    predicted = predicted.masked_fill(truth == num_classes, num_classes)
    hits = counted(torch.where(predicted == truth, truth, num_classes))
    labelled = counted(truth)
    unions = labelled + counted(predicted) - hits
    return (hits.double() / unions).masked_fill(labelled == 0, math.nan)
