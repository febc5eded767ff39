"""ObjectResult: recall, precision and panoptic quality of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.metrics.means import by_class_name, group_means, mean_known
from equiseg.metrics.object_counts import COCO_SIZES, ObjectCounts

_MEANS = ("recall", "precision", "f1", "quality")
NUMBERS = (
    *(f"object_{name}" for name in _MEANS),
    *(f"{group}_object_{name}" for name in _MEANS[:3] for group in ("head", "common", "tail")),
)
"""Names of the numbers that one result is asked for."""


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
        counts: ObjectCounts,
        groups: FrequencyGroups | None = None,
        size_limits: Sequence[int] = COCO_SIZES,
    ) -> ObjectResult:
        """The result of counts.

        Args:
            counts: Of a whole data set.
            groups: Head, common and tail; None takes thirds of the labels counted here.
            size_limits: As of the counts.
        """
        groups = groups or FrequencyGroups.from_counts(counts.pixels_K)
        found_KS, missed_KS, matched_KS, false_KS = (
            part.double()
            for part in (counts.found_KS, counts.missed_KS, counts.matched_KS, counts.false_KS)
        )
        ious_K, objects_KS = counts.ious_K, counts.found_KS + counts.missed_KS
        found_K, missed_K, false_K = (part.sum(1) for part in (found_KS, missed_KS, false_KS))
        mean_objects_K = found_K + (missed_K + false_K) / 2  # of labelled and predicted ones
        # 0 / 0 is the NaN that is meant.
        recall_K = found_K / (found_K + missed_K)
        precision_K = found_K / (found_K + false_K)
        f1_K = found_K / mean_objects_K
        quality_K = ious_K / mean_objects_K
        found_S, missed_S, matched_S, false_S = (
            part.sum(0) for part in (found_KS, missed_KS, matched_KS, false_KS)
        )
        grouped = {"recall": recall_K, "precision": precision_K, "f1": f1_K}
        return cls(
            recall_K=recall_K,
            precision_K=precision_K,
            f1_K=f1_K,
            overlap_K=ious_K / found_K,
            quality_K=quality_K,
            objects_K=objects_KS.sum(1),
            recall_S=found_S / (found_S + missed_S),
            precision_S=matched_S / (matched_S + false_S),
            objects_S=objects_KS.sum(0),
            size_limits=tuple(size_limits),
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
        numbers = {f"object_{name}": getattr(self, name) for name in _MEANS}
        for name, mean in self.by_group.items():
            group, _, rest = name.partition("_")
            numbers[f"{group}_object_{rest}"] = mean
        for name in ("recall", "precision"):
            numbers |= by_class_name(f"object_{name}", getattr(self, f"{name}_K"), classes)
        return numbers
