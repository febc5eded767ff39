"""CalibrationError: the gap between confidence and accuracy."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.imbalance.groups import AnyGroups
from equiseg.labels import check_labels, check_num_classes, is_checkable
from equiseg.metrics.confidence_bins import NUM_BINS, NUMBERS, Calibration
from equiseg.metrics.predictions import (
    check_prediction_pair,
    checked_ids,
    most_likely,
    resized_logits,
)
from equiseg.metrics.summed_metric import SummedMetric


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
    numbers = NUMBERS
    counts_KM: Tensor
    confidences_KM: Tensor
    correct_KM: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        groups: AnyGroups | None = None,
        num_bins: int = NUM_BINS,
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
        nothing = Calibration.zeros(num_classes, num_bins=num_bins)
        self.add_state("counts_KM", nothing.counts_KM, dist_reduce_fx="sum")
        self.add_state("confidences_KM", nothing.confidences_KM, dist_reduce_fx="sum")
        self.add_state("correct_KM", nothing.correct_KM, dist_reduce_fx="sum")

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
        sums = self.result_of(self.counts_KM, self.confidences_KM, self.correct_KM).plus(
            predicted, labels, confidences, ignore_index=self.ignore_index
        )
        self.counts_KM, self.confidences_KM = sums.counts_KM, sums.confidences_KM
        self.correct_KM = sums.correct_KM

    def result_of(self, *states: Tensor) -> Calibration:
        """Calibration by class and bin."""
        counts_KM, confidences_KM, correct_KM = states
        return Calibration(counts_KM, confidences_KM, correct_KM, self.groups)


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
