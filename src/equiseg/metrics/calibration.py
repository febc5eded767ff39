"""CalibrationError: the gap between confidence and accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import (
    check_labels,
    check_num_classes,
    fold_ignored,
    is_checkable,
)
from equiseg.metrics.predictions import (
    check_prediction_pair,
    checked_ids,
    most_likely,
    resized_logits,
)
from equiseg.metrics.summed_metric import SummedMetric

_NUMBERS = ("ece", "head_ece", "common_ece", "tail_ece")


@dataclass(frozen=True)
class Calibration:
    """Confidence and accuracy of predictions, by predicted class and confidence bin.

    Bin m of M holds the confidences in ((m - 1) / M, m / M].

    Attributes:
        counts_KM: (K, M) int64 number of predictions.
        confidences_KM: (K, M) float64 sums of their confidences.
        correct_KM: (K, M) int64 number of correct predictions.
        groups: The classes of each group, or None.
    """

    counts_KM: Tensor
    confidences_KM: Tensor
    correct_KM: Tensor
    groups: FrequencyGroups | None

    @property
    def ece(self) -> float:
        """Expected calibration error of all predictions, a fraction; NaN if there are none."""
        return self._error(range(len(self.counts_KM)))

    @property
    def head(self) -> float:
        """The error of the predictions of head classes; NaN without groups."""
        return self._error(self.groups.head if self.groups else ())

    @property
    def common(self) -> float:
        """The error of the predictions of common classes."""
        return self._error(self.groups.common if self.groups else ())

    @property
    def tail(self) -> float:
        """The error of the predictions of tail classes."""
        return self._error(self.groups.tail if self.groups else ())

    def as_dict(self) -> dict[str, float]:
        """The errors by name, as plain numbers for a logger; NaN without predictions or groups."""
        return {name: getattr(self, name.removesuffix("_ece")) for name in _NUMBERS}

    def bins(self) -> dict[str, list[float]]:
        """The numbers for a reliability diagram, over all classes.

        Returns:
            For each bin the count, the sum of the confidences and the number of correct
            predictions.
        """
        return {
            "count": self.counts_KM.sum(0).tolist(),
            "confidence": self.confidences_KM.sum(0).tolist(),
            "correct": self.correct_KM.sum(0).tolist(),
        }

    def _error(self, classes: Sequence[int]) -> float:
        rows = torch.tensor(list(classes), dtype=torch.int64, device=self.counts_KM.device)
        # |accuracy - confidence| of a bin, weighted by its share: the counts of the bins cancel.
        gaps_M = self.correct_KM[rows].sum(0) - self.confidences_KM[rows].sum(0)
        return float(gaps_M.abs().sum() / self.counts_KM[rows].sum())  # NaN without predictions


class CalibrationError(SummedMetric[Calibration]):
    """Expected calibration error over a whole data set, for all classes and by group.

        metric = CalibrationError(num_classes=19)
        for images, labels in loader:
            metric.update(model(images), labels)
        metric.compute().ece

    Confidence is the probability of the predicted class. Predictions are sorted into bins of equal
    width by it, and the gaps between mean confidence and accuracy are averaged, weighted by the
    predictions in each bin (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
    eq. 3). The states are summed over batches and ranks.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
        groups: Head, common and tail as in :class:`SegmentationScore`, for the error of predictions
            of their classes; None leaves the groups out.
        num_bins: Bins M; 15 as in the paper.
        **kwargs: Arguments of :class:`torchmetrics.Metric`, such as ``sync_on_compute``.

    Raises:
        ValueError: If ``num_classes``, ``ignore_index`` or ``num_bins`` cannot work, or the groups
            name a class that does not exist.
    """

    higher_is_better = False
    numbers = _NUMBERS
    counts_KM: Tensor
    confidences_KM: Tensor
    correct_KM: Tensor

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
        num_bins: int = 15,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_num_classes(num_classes, ignore_index)
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}; the paper takes 15")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.groups = FrequencyGroups.of(groups, num_classes)
        self.num_bins = num_bins
        zeros_KM = torch.zeros(num_classes, num_bins, dtype=torch.int64)
        self.add_state("counts_KM", zeros_KM, dist_reduce_fx="sum")
        self.add_state("confidences_KM", zeros_KM.double(), dist_reduce_fx="sum")
        self.add_state("correct_KM", zeros_KM.clone(), dist_reduce_fx="sum")

    def update(
        self, predictions: Tensor, labels: Tensor, confidences: Tensor | None = None
    ) -> None:
        """Count one batch.

        Args:
            predictions: Logits (B, K, *spatial) or (N, K), resized to the labels (linearly,
                corners not aligned) when their sizes differ; log-probabilities work too. Or class
                ids of the shape of ``labels``, with their confidences.
            labels: (B, *spatial) or (N,) integer ids.
            confidences: Probability of each class id, in the shape of ``labels``; not with logits.

        Raises:
            TypeError: If class ids or labels are not integers.
            ValueError: If shapes disagree, confidences are missing or given with logits, or
                (checked on CPU tensors) a label, a class id or a confidence is out of range.
        """
        check_prediction_pair(predictions, labels, self.num_classes)
        if predictions.is_floating_point():
            if confidences is not None:
                raise ValueError(
                    "confidences go with class ids, got logits too; pass logits alone, or ids"
                )
            logits = resized_logits(predictions, labels, self.num_classes)
            predicted, confidences = most_likely(logits)
        else:
            predicted = checked_ids(predictions, labels, self.num_classes)
            _check_confidences(confidences, labels)
            assert confidences is not None
        if is_checkable(labels):
            check_labels(labels, self.num_classes, ignore_index=self.ignore_index)
        predicted = predicted.flatten()
        truth = fold_ignored(labels, self.num_classes, self.ignore_index).flatten()
        known = truth < self.num_classes
        sure = torch.where(known, confidences.flatten().double(), 0.0)
        bin_ = (sure * self.num_bins).ceil().long().clamp(1, self.num_bins) - 1
        cells = self.num_classes * self.num_bins
        cell = predicted * self.num_bins + bin_
        # Three layers of cells, counted at once: wrong, right, and without a label.
        layer = torch.where(known, (predicted == truth).long(), 2)
        counts = torch.bincount(layer * cells + cell, minlength=3 * cells).view(3, *self._size)
        sums = sure.new_zeros(cells).index_add(0, cell, sure)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        self.counts_KM = self.counts_KM + counts[0] + counts[1]
        self.correct_KM = self.correct_KM + counts[1]
        self.confidences_KM = self.confidences_KM + sums.view(self._size)

    def result_of(self, *states: Tensor) -> Calibration:
        """Calibration by class and bin."""
        counts_KM, confidences_KM, correct_KM = states
        return Calibration(counts_KM, confidences_KM, correct_KM, self.groups)

    @property
    def _size(self) -> tuple[int, int]:
        return self.num_classes, self.num_bins


def _check_confidences(confidences: Tensor | None, labels: Tensor) -> None:
    if confidences is None or confidences.shape != labels.shape:
        seen = None if confidences is None else tuple(confidences.shape)
        raise ValueError(
            f"confidences must be shaped as the labels {tuple(labels.shape)} when predictions are "
            f"class ids, got {seen}; pass the probability of each id, or logits alone"
        )
    if is_checkable(confidences) and confidences.numel():
        least, most = (float(value) for value in confidences.aminmax())
        if least < 0 or most > 1 + 1e-5:  # a mean of float32 probabilities may exceed 1
            raise ValueError(
                f"confidences must be probabilities from 0 to 1, got values from {least:g} to "
                f"{most:g}; take the softmax of logits, and fractions instead of percent"
            )
