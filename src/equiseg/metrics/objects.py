"""ObjectScore: which objects are found, and which predicted ones do not exist."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.connected import Regions, map_regions, overlaps, voxel_regions
from equiseg.imbalance.regions import Ids, Integers
from equiseg.labels import check_num_classes
from equiseg.metrics.means import group_means, mean_known
from equiseg.metrics.predictions import checked_pair
from equiseg.metrics.summed_metric import SummedMetric

_COCO_SIZES = (32**2, 96**2)
_ONE = 1 << 32  # IoUs are summed as integers, so that the order of batches and ranks is no matter
_MOST_CACHED = 1 << 26  # bytes of label regions, of some thousand images
_MEANS = ("recall", "precision", "f1", "quality")
_NUMBERS = (
    *(f"object_{name}" for name in _MEANS),
    *(f"{group}_object_{name}" for name in _MEANS[:3] for group in ("head", "common", "tail")),
)


@dataclass(frozen=True)
class ObjectResult:
    """Objects found and missed, as fractions; NaN where there is nothing to score.

    An object is a connected region of one class. A class without labelled objects has no recall,
    one without predicted objects no precision, and one without both no F1; they are left out of the
    means.

    Attributes:
        recall_K: (K,) float64 share of the labelled objects that are found.
        precision_K: (K,) float64 share of the predicted objects that match one.
        f1_K: (K,) float64 harmonic mean of both; the recognition quality RQ of panoptic quality.
        overlap_K: (K,) float64 mean IoU of the objects found; the segmentation quality SQ.
        quality_K: (K,) float64 panoptic quality PQ, the sum of these IoUs over the mean of labelled
            and predicted objects; F1 times overlap.
        objects_K: (K,) int64 labelled objects.
        recall_S: (S,) float64 recall of the objects of all classes by their size.
        precision_S: (S,) float64 precision, by the size of the predicted object.
        objects_S: (S,) int64 labelled objects by size.
        size_limits: S - 1 sizes in pixels; an object of this size belongs to the larger ones.
        recall: Mean of ``recall_K``; ``precision``, ``f1`` and ``quality`` likewise.
        precision: See ``recall``.
        f1: See ``recall``.
        quality: See ``recall``.
        by_group: Means over head, common and tail: "head_recall", "head_precision", "head_f1", ...
        groups: The classes of each group.
    """

    recall_K: Tensor
    precision_K: Tensor
    f1_K: Tensor
    overlap_K: Tensor
    quality_K: Tensor
    objects_K: Tensor
    recall_S: Tensor
    precision_S: Tensor
    objects_S: Tensor
    size_limits: tuple[int, ...]
    recall: float
    precision: float
    f1: float
    quality: float
    by_group: Mapping[str, float]
    groups: FrequencyGroups

    @classmethod
    def from_counts(
        cls,
        found_KS: Tensor,
        missed_KS: Tensor,
        matched_KS: Tensor,
        false_KS: Tensor,
        ious_K: Tensor,
        *,
        size_limits: tuple[int, ...],
        groups: FrequencyGroups,
    ) -> ObjectResult:
        """The result of counts by class and size.

        Args:
            found_KS: (K, S) labelled objects with a match, by their own size.
            missed_KS: (K, S) labelled objects without.
            matched_KS: (K, S) predicted objects with a match, by their own size.
            false_KS: (K, S) predicted objects without.
            ious_K: (K,) float64 sums of the IoUs of all matches.
            size_limits: As the attribute.
            groups: Head, common and tail.
        """
        found_K, missed_K, false_K = (
            part.sum(1).double() for part in (found_KS, missed_KS, false_KS)
        )
        mean_objects_K = found_K + (missed_K + false_K) / 2  # of labelled and predicted ones
        # 0 / 0 is the NaN that is meant.
        recall_K = found_K / (found_K + missed_K)
        precision_K = found_K / (found_K + false_K)
        f1_K = found_K / mean_objects_K
        quality_K = ious_K / mean_objects_K
        found_S, missed_S, matched_S, false_S = (
            part.sum(0).double() for part in (found_KS, missed_KS, matched_KS, false_KS)
        )
        grouped = {"recall": recall_K, "precision": precision_K, "f1": f1_K}
        return cls(
            recall_K=recall_K,
            precision_K=precision_K,
            f1_K=f1_K,
            overlap_K=ious_K / found_K,
            quality_K=quality_K,
            objects_K=(found_KS + missed_KS).sum(1),
            recall_S=found_S / (found_S + missed_S),
            precision_S=matched_S / (matched_S + false_S),
            objects_S=(found_KS + missed_KS).sum(0),
            size_limits=size_limits,
            recall=mean_known(recall_K)[0],
            precision=mean_known(precision_K)[0],
            f1=mean_known(f1_K)[0],
            quality=mean_known(quality_K)[0],
            by_group={
                f"{group}_{name}": mean
                for name, values_K in grouped.items()
                for group, mean in group_means(values_K, groups).items()
            },
            groups=groups,
        )

    def as_dict(self, classes: Sequence[str] = ()) -> dict[str, float]:
        """The means by name, as plain numbers: for a logger, a table or JSON.

        Args:
            classes: Names of the K classes, to have ``object_recall/name`` and
                ``object_precision/name`` of each as well.

        Raises:
            ValueError: If there is not one name for each class.
        """
        if classes and len(classes) != len(self.recall_K):
            raise ValueError(
                f"classes must name the {len(self.recall_K)} classes, got {len(classes)} names"
            )
        numbers = {f"object_{name}": getattr(self, name) for name in _MEANS}
        for name, mean in self.by_group.items():
            group, _, rest = name.partition("_")
            numbers[f"{group}_object_{rest}"] = mean
        for name in ("recall", "precision") if classes else ():
            values = zip(classes, getattr(self, f"{name}_K").tolist(), strict=True)
            numbers |= {f"object_{name}/{class_name}": value for class_name, value in values}
        return numbers


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
    any order. A mask of 512x512 takes about 15 ms.

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
    numbers = _NUMBERS
    found_KS: Tensor
    missed_KS: Tensor
    matched_KS: Tensor
    false_KS: Tensor
    ious_K: Tensor
    pixels_K: Tensor

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
        size_limits: Sequence[int] = _COCO_SIZES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        limits = tuple(size_limits)
        if any(low >= high for low, high in zip((0, *limits), limits, strict=False)):
            raise ValueError(
                f"size_limits must ascend from above 0, got {limits}; COCO has {_COCO_SIZES}"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.size_limits = limits
        zeros_KS = torch.zeros(num_classes, len(limits) + 1, dtype=torch.int64)
        for name in ("found_KS", "missed_KS", "matched_KS", "false_KS"):
            self.add_state(name, zeros_KS.clone(), dist_reduce_fx="sum")
        for name in ("ious_K", "pixels_K"):
            self.add_state(name, zeros_KS[:, 0].clone(), dist_reduce_fx="sum")
        self._known_regions = _RegionCache()

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
        counts = np.zeros((4, self.num_classes, len(self.size_limits) + 1), np.int64)
        sums = np.zeros((2, self.num_classes), np.int64)
        guesses, truths = predicted.cpu().numpy(), truth.cpu().numpy()
        if coordinates is not None:
            places = coordinates.cpu().numpy()
            labelled = voxel_regions(places, truths, self.num_classes)
            self._count(labelled, voxel_regions(places, guesses, self.num_classes), counts, sums)
        else:
            for guess, labels_of_one in zip(guesses, truths, strict=True):
                labelled = self._known_regions.regions(labels_of_one, self.num_classes)
                self._count(labelled, map_regions(guess, self.num_classes), counts, sums)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        added = (torch.from_numpy(part).to(self.device) for part in (*counts, *sums))
        for name, part in zip(self.metric_state, added, strict=True):
            setattr(self, name, getattr(self, name) + part)

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

    def _count(self, labelled: Regions, predicted: Regions, counts: Ids, sums: Ids) -> None:
        """Add the objects of one image or scan to the counts by class and size, and the sums."""
        label_P, guess_P, pixels_P = overlaps(labelled, predicted)
        # A region meets the places without a label once at most.
        unlabelled = (label_P < 0) & (guess_P >= 0)
        unlabelled_G = np.zeros(len(predicted.sizes_G), np.int64)
        unlabelled_G[guess_P[unlabelled]] = pixels_P[unlabelled]
        both = (label_P >= 0) & (guess_P >= 0)
        label_P, guess_P, pixels_P = label_P[both], guess_P[both], pixels_P[both]
        alike = labelled.classes_G[label_P] == predicted.classes_G[guess_P]
        label_P, guess_P, pixels_P = label_P[alike], guess_P[alike], pixels_P[alike]
        guessed_P = predicted.sizes_G[guess_P] - unlabelled_G[guess_P]
        unions_P = labelled.sizes_G[label_P] + guessed_P - pixels_P
        match = 2 * pixels_P > unions_P
        found_G = np.zeros(len(labelled.sizes_G), bool)
        matched_G = np.zeros(len(predicted.sizes_G), bool)
        found_G[label_P[match]] = matched_G[guess_P[match]] = True
        ignored_G = ~matched_G & (2 * unlabelled_G > predicted.sizes_G)
        objects: list[tuple[Regions, np.ndarray]] = [
            (labelled, found_G),
            (labelled, ~found_G),
            (predicted, matched_G),
            (predicted, ~matched_G & ~ignored_G),
        ]
        for counts_KS, (regions, chosen_G) in zip(counts, objects, strict=True):
            sizes = np.searchsorted(self.size_limits, regions.sizes_G[chosen_G], side="right")
            np.add.at(counts_KS, (regions.classes_G[chosen_G], sizes), 1)
        ious = np.rint(_ONE * (pixels_P[match] / unions_P[match])).astype(np.int64)
        np.add.at(sums[0], labelled.classes_G[label_P[match]], ious)
        np.add.at(sums[1], labelled.classes_G, labelled.sizes_G)

    def result_of(self, *states: Tensor) -> ObjectResult:
        """Scores of the counts."""
        found_KS, missed_KS, matched_KS, false_KS, ious_K, pixels_K = (s.cpu() for s in states)
        return ObjectResult.from_counts(
            found_KS,
            missed_KS,
            matched_KS,
            false_KS,
            ious_K.double() / _ONE,
            size_limits=self.size_limits,
            groups=self.groups or FrequencyGroups.from_counts(pixels_K),
        )


class _RegionCache:
    """Regions of label maps by their content: labels are the same at every validation."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Regions] = OrderedDict()
        self._bytes = 0

    def regions(self, labels: Integers, num_classes: int) -> Regions:
        """The regions of a map, computed once."""
        small = np.ascontiguousarray(labels, np.uint16 if num_classes < 1 << 16 else np.int64)
        key = hashlib.blake2b(repr(small.shape).encode() + small.tobytes()).digest()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = self._known[key] = map_regions(small, num_classes)
        self._bytes += _size(found)
        while self._bytes > _MOST_CACHED and len(self._known) > 1:
            self._bytes -= _size(self._known.popitem(last=False)[1])
        return found


def _size(regions: Regions) -> int:
    return sum(part.nbytes for part in regions if isinstance(part, np.ndarray))
