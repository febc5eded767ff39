"""CenterMoments: the class centers of a whole data set, batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.centers import class_centers


class CenterMoments:
    """Running sums of the features of each class, in float64.

    Args:
        num_classes: Number of classes K.
        ignore_index: Label value to leave out.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.sums_KD: Tensor | None = None
        self.counts_K = torch.zeros(num_classes, dtype=torch.int64)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, *, inverse: Tensor | None = None) -> None:
        """Add one batch.

        Args:
            features: As in :func:`equiseg.class_centers`, with the same C every time.
            labels: As there.
            inverse: As there.

        Raises:
            TypeError: If features are not floating point or labels are not integers.
            ValueError: If the shapes, the labels or C do not fit.
        """
        batch = class_centers(
            features, labels, self.num_classes, ignore_index=self.ignore_index, inverse=inverse
        )
        counts_K = batch.counts_K.cpu()
        sums_KD = batch.centers_KD.double().cpu() * counts_K.unsqueeze(1)
        if self.sums_KD is not None and self.sums_KD.shape != sums_KD.shape:
            raise ValueError(
                f"features must have {self.sums_KD.shape[1]} channels as in the batches before, "
                f"got {sums_KD.shape[1]}; use one CenterMoments for each layer"
            )
        # Not in place: what inference mode made could not be added to outside of it.
        self.sums_KD = sums_KD if self.sums_KD is None else self.sums_KD + sums_KD
        self.counts_K = self.counts_K + counts_K

    def centers(self) -> tuple[Tensor, Tensor]:
        """(K, D) float64 centers and (K,) bool, which classes they exist for.

        Raises:
            RuntimeError: If nothing was added yet.
        """
        if self.sums_KD is None:
            raise RuntimeError("no features were added yet; call update(features, labels) first")
        return self.sums_KD / self.counts_K.clamp(min=1).unsqueeze(1), self.counts_K > 0
