"""Calibration: confidence and accuracy of predictions, by predicted class and confidence bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups
from equiseg.labels import fold_ignored

NUMBERS = ("ece", "head_ece", "common_ece", "tail_ece")
"""Names of the numbers that one calibration is asked for."""
NUM_BINS = 15
"""As in Guo et al. 2017."""


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

    @classmethod
    def zeros(
        cls,
        num_classes: int,
        groups: FrequencyGroups | None = None,
        *,
        num_bins: int = NUM_BINS,
        device: torch.device | str = "cpu",
    ) -> Calibration:
        """The calibration of no predictions.

        Args:
            num_classes: Number of classes K.
            groups: The classes of each group, or None.
            num_bins: Bins M.
            device: Device of the counts.
        """
        counts_KM = torch.zeros(num_classes, num_bins, dtype=torch.int64, device=device)
        return cls(counts_KM, counts_KM.double(), counts_KM.clone(), groups)

    def plus(
        self, ids: Tensor, labels: Tensor, confidences: Tensor, *, ignore_index: int = 255
    ) -> Calibration:
        """The calibration of these and of more predictions.

        Args:
            ids: Predicted class ids in 0..K-1, of any shape.
            labels: Class ids or ``ignore_index``, in the same shape.
            confidences: Probability of each predicted class, in the same shape.
            ignore_index: Label value to leave out.
        """
        num_classes, num_bins = self.counts_KM.shape
        predicted = ids.flatten()
        truth = fold_ignored(labels, num_classes, ignore_index).flatten()
        known = truth < num_classes
        sure = torch.where(known, confidences.flatten().double(), 0.0)
        bin_ = (sure * num_bins).ceil().long().clamp(1, num_bins) - 1
        cells = num_classes * num_bins
        cell = predicted * num_bins + bin_
        # Three layers of cells, counted at once: wrong, right, and without a label.
        layer = torch.where(known, (predicted == truth).long(), 2)
        counts = torch.bincount(layer * cells + cell, minlength=3 * cells)
        wrong_KM, right_KM, _ = counts.view(3, num_classes, num_bins)
        sums_KM = sure.new_zeros(cells).index_add(0, cell, sure).view(num_classes, num_bins)
        # Not in place: outside of inference mode, tensors made in it cannot be changed.
        return Calibration(
            self.counts_KM + wrong_KM + right_KM,
            self.confidences_KM + sums_KM,
            self.correct_KM + right_KM,
            self.groups,
        )

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

    def cpu(self) -> Calibration:
        """The same on the CPU."""
        counts_KM, confidences_KM = self.counts_KM.cpu(), self.confidences_KM.cpu()
        return Calibration(counts_KM, confidences_KM, self.correct_KM.cpu(), self.groups)

    def as_dict(self) -> dict[str, float]:
        """The errors by name, as plain numbers for a logger; NaN without predictions or groups."""
        return {name: getattr(self, name.removesuffix("_ece")) for name in NUMBERS}

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
