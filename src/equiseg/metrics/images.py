"""ImageScore: IoU image by image, and of the worst images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.groups import AnyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.image_ious import NUMBERS, ImageResult, image_ious
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric


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
    numbers = NUMBERS
    ious_IK: list[Tensor] | Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: AnyGroups | None = None,
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
        ious = image_ious(predicted, truth, self.num_classes)
        self.ious_IK.append(ious)  # type: ignore[union-attr]

    def result_of(self, *states: Any) -> ImageResult:
        """Scores of the images."""
        (found,) = states
        parts = found if isinstance(found, list) else [found]  # one tensor after synchronisation
        none_IK = torch.empty(0, self.num_classes, dtype=torch.float64)
        ious_IK = torch.cat([none_IK, *(part.cpu() for part in parts)])
        return ImageResult.of_images(ious_IK, self.groups)
