"""ImageScore: IoU image by image, and of the worst images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.means import group_means, mean_known
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric

_WORST = (25, 5)  # percent
_GROUPS = ("head", "common", "tail")
_NUMBERS = (
    "image_miou",
    *(f"image_miou_worst_{share}" for share in _WORST),
    "image_class_miou",
    *(f"{group}_image_iou" for group in _GROUPS),
)


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

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The means by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``image_iou/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.
        """
        if classes and len(classes) != len(self.iou_K):
            raise ValueError(
                f"classes must name the {len(self.iou_K)} classes, got {len(classes)} names"
            )
        numbers = {"image_miou": self.miou, "image_class_miou": self.class_miou}
        numbers |= {
            f"image_miou_worst_{share}": getattr(self, f"worst_{share}") for share in _WORST
        }
        numbers |= {f"{group}_image_iou": mean for group, mean in self.by_group.items()}
        ious = self.iou_K.tolist() if classes else ()
        return numbers | {f"image_iou/{c}": iou for c, iou in zip(classes, ious, strict=True)}


class ImageScore(SummedMetric[ImageResult]):
    """Mean IoU image by image, of all and of the worst images.

    The IoU of a data set is ruled by its large objects: a class that is large in one image and
    small in a hundred has nearly the IoU of the one. Here every image counts the same. An image has
    the mean IoU of the classes labelled in it (Wang et al., "Revisiting Evaluation Metrics for
    Semantic Segmentation", NeurIPS 2023: mIoU^I, mIoU^C over classes, and the mean over the worst
    images). Pixels of classes that are not labelled in an image lower the IoU of those they are
    taken for. A scan is an image.

    The state has K numbers for each image, so that quantiles are exact over batches and ranks.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail as in :class:`SegmentationScore`; None splits the classes by
            the number of images in which they are labelled.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If ``num_classes`` or ``ignore_index`` cannot work, or the groups name a class
            that does not exist.

    Examples:
        >>> import torch
        >>> from equiseg import ImageScore
        >>> score = ImageScore(num_classes=2)
        >>> labels = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
        >>> score.update(torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]]), labels)
        >>> result = score.compute()
        >>> result.miou_I.tolist(), result.worst_25
        ([0.25, 1.0], 0.25)
    """

    higher_is_better = True
    numbers = _NUMBERS
    ious_IK: list[Tensor] | Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: FrequencyGroups
        | Mapping[str, Sequence[int]]
        | Tensor
        | Sequence[int]
        | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.add_state("ious_IK", [], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, labels: Tensor) -> None:
        """Score the images of one batch.

        Args:
            predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial), which are
                resized to the labels (linearly, corners not aligned) when their sizes differ.
            labels: (B, *spatial) integer ids, or (N,) of the points of one scan.

        Raises:
            TypeError: If class ids or labels are not integers.
            ValueError: If shapes disagree, or (checked on CPU tensors) a value is out of range.
        """
        predicted, truth = checked_pair(predictions, labels, self.num_classes, self.ignore_index)
        if labels.ndim == 1:
            predicted, truth = predicted.unsqueeze(0), truth.unsqueeze(0)
        predicted = predicted.masked_fill(truth == self.num_classes, self.num_classes)
        hits = self._counts(torch.where(predicted == truth, truth, self.num_classes))
        labelled = self._counts(truth)
        unions = labelled + self._counts(predicted) - hits
        ious = (hits.double() / unions).masked_fill(labelled == 0, math.nan)
        self.ious_IK.append(ious)  # type: ignore[union-attr]

    def result_of(self, *states: Any) -> ImageResult:
        """Scores of the images."""
        (found,) = states
        parts = found if isinstance(found, list) else [found]  # one tensor after synchronisation
        none_IK = torch.empty(0, self.num_classes, dtype=torch.float64)
        ious_IK = torch.cat([none_IK, *(part.cpu() for part in parts)])
        labelled_IK = ~ious_IK.isnan()
        images_K = labelled_IK.sum(0)
        groups = self.groups or FrequencyGroups.from_counts(images_K)
        # Sorted first: the same images in another order have the same sums.
        sums_K = ious_IK.nan_to_num(0).sort(0).values.sum(0)
        iou_K = sums_K / images_K  # 0 / 0 is the NaN that is meant
        miou_I = ious_IK[labelled_IK.any(1)].nanmean(1).sort().values
        worst_25, worst_5 = (miou_I[: math.ceil(len(miou_I) * share / 100)] for share in _WORST)
        return ImageResult(
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

    def _counts(self, ids: Tensor) -> Tensor:
        """(B, K) pixels of each class in each image; id K is none."""
        batch, width = len(ids), self.num_classes + 1
        row = torch.arange(batch, device=ids.device).unsqueeze(1) * width
        counts = torch.bincount((row + ids.flatten(1)).flatten(), minlength=batch * width)
        return counts.view(batch, width)[:, : self.num_classes]
