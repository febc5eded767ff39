"""ObjectScore: which objects are found, and which predicted ones do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.groups import AnyGroups
from equiseg.labels import check_num_classes
from equiseg.metrics.object_counts import COCO_SIZES, ObjectCounts, RegionCache
from equiseg.metrics.object_result import NUMBERS, ObjectResult
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric


class ObjectScore(SummedMetric[ObjectResult]):
    """Recall, precision and panoptic quality of objects: of connected regions of one class.

    Mean IoU counts pixels, so it hardly sees small objects. Here every object counts once. Pixels
    of an object touch by a side or a corner (8 neighbours in images, 26 in volumes and scans). A
    labelled object is found if a predicted object of its class has an IoU above 0.5 with it, which
    one at most can have (Kirillov et al., "Panoptic Segmentation", CVPR 2019, sec. 4). Pixels
    without a label do not count in the IoU, and a predicted object without a match that lies mostly
    on them is not counted.

    Touching objects of one class are one region: this measures whether pieces of a class are found,
    not whether instances are separated. All counts are integers, so batches and ranks may come in
    any order.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail as in :class:`SegmentationScore`; None splits the label
            counts seen by the metric.
        size_limits: Ascending sizes, in pixels or voxels, that divide small from larger objects.
            The default has the limits of COCO: 32² and 96².
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If an argument cannot work.

    Examples:
        Two labelled objects of class 1; the larger one is found, with an IoU of 2/3:

        >>> import torch
        >>> from equiseg import ObjectScore
        >>> score = ObjectScore(num_classes=2)
        >>> labels = torch.tensor([[[1, 1, 1, 0, 0, 0, 1]]])
        >>> predictions = torch.tensor([[[1, 1, 0, 0, 0, 0, 0]]])
        >>> score.update(predictions, labels)
        >>> result = score.compute()
        >>> result.recall_K.tolist(), result.precision_K.tolist()
        ([1.0, 0.5], [1.0, 1.0])
    """

    higher_is_better = True
    numbers = NUMBERS

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: AnyGroups | None = None,
        size_limits: Sequence[int] = COCO_SIZES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        limits = tuple(size_limits)
        if any(low >= high for low, high in zip((0, *limits), limits, strict=False)):
            raise ValueError(
                f"size_limits must ascend from above 0, got {limits}; COCO has {COCO_SIZES}"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.size_limits = limits
        zeros = ObjectCounts.zeros(num_classes, len(limits) + 1)
        for name, count in vars(zeros).items():
            self.add_state(name, count, dist_reduce_fx="sum")
        self._label_regions = RegionCache()

    def update(
        self, predictions: Tensor, labels: Tensor, coordinates: Tensor | None = None
    ) -> None:
        """Count one batch.

        Args:
            predictions: Class ids shaped as ``labels``, or logits (B, K, *spatial) or (V, K), which
                are resized to the labels (linearly, corners not aligned) when their sizes differ.
            labels: (B, *spatial) integer ids with one to three spatial dimensions, or (V,).
            coordinates: (V, 4) integers, the scan and the x, y, z of each voxel; for voxels only.

        Raises:
            TypeError: If class ids or labels are not integers.
            ValueError: If shapes disagree, or a value is out of range.
        """
        predicted, truth = checked_pair(predictions, labels, self.num_classes, self.ignore_index)
        self._check_coordinates(labels, coordinates)
        kind = self.num_classes, self.size_limits
        if coordinates is not None:
            counts = ObjectCounts.of_voxels(predicted, truth, coordinates, *kind)
        else:
            counts = ObjectCounts.of_maps(predicted, truth, *kind, self._label_regions)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        for name, count in vars(counts).items():
            setattr(self, name, getattr(self, name) + count.to(self.device))

    def _check_coordinates(self, labels: Tensor, coordinates: Tensor | None) -> None:
        if labels.ndim == 1 and coordinates is None:
            raise ValueError(
                "coordinates are needed for labels (V,), to know which voxels touch; pass the scan "
                "and x, y, z of each voxel, (V, 4)"
            )
        if coordinates is None:
            if labels.ndim > 4:
                raise ValueError(
                    "labels must have one to three spatial dimensions (B, *spatial), got "
                    f"{tuple(labels.shape)}"
                )
        elif coordinates.shape != (*labels.shape, 4) or coordinates.is_floating_point():
            raise ValueError(
                f"coordinates must be integers (V, 4) for labels (V,), got {coordinates.dtype} "
                f"{tuple(coordinates.shape)} for labels {tuple(labels.shape)}; scan, x, y and z of "
                "each voxel"
            )

    def result_of(self, *states: Tensor) -> ObjectResult:
        """Scores of the counts."""
        counts = ObjectCounts(*(state.cpu() for state in states))
        return ObjectResult.from_counts(counts, self.groups, self.size_limits)
