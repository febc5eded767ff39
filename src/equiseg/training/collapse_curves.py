"""CollapseCurves: neural collapse over the epochs, measured in validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from equiseg.evaluation.inputs import inverse_of, within
from equiseg.metrics import CollapseMetric
from equiseg.tap import FeatureTap


def labels_and_inverse(batch: Any) -> tuple[Tensor, Tensor | None]:
    """Labels of a batch (inputs, labels), and the inverse map for voxels (else None)."""
    inputs, labels = batch
    return labels, inverse_of(inputs)


class CollapseCurves(L.Callback):
    """Logs, in validation, how far the validation features are from neural collapse.

    Works in any LightningModule whose ``validation_step`` runs a pixel (point) classifier:

        trainer = L.Trainer(callbacks=[CollapseCurves(num_classes=19)])

    Each measure of :class:`equiseg.CollapseMetric` is logged as ``collapse/NAME``, and of the
    rows of a Linear or 1x1 classifier as ``collapse/classifier_NAME``. Features come from the
    last forward of a validation step, counted at label resolution, summed over ranks. Only the
    first validation loader is measured.

    Args:
        num_classes: Number of classes K.
        layer: The classifier, as in :class:`equiseg.FeatureTap`; None searches for it.
        ignore_index: Label value to leave out.
        labels_of: From a validation batch to its labels and, for voxels, their inverse map. The
            default takes batches (inputs, labels).
        every: Validations from one measurement to the next; the last validation is measured.

    Raises:
        ValueError: If ``every`` is below 1; when validation starts, if the classifier cannot be
            found.
    """

    def __init__(
        self,
        num_classes: int,
        layer: str | nn.Module | None = None,
        *,
        ignore_index: int = 255,
        labels_of: Callable[[Any], tuple[Tensor, Tensor | None]] = labels_and_inverse,
        every: int = 1,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}; 1 is every validation")
        self.num_classes = num_classes
        self.layer = layer
        self.ignore_index = ignore_index
        self.labels_of = labels_of
        self.every = every
        self._tap: FeatureTap | None = None
        self._metric: CollapseMetric | None = None

    @property
    def is_measuring(self) -> bool:
        """Whether this validation is measured."""
        return self._metric is not None

    def on_validation_epoch_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Tap the classifier, if it is the turn of this validation."""
        epochs_left = (trainer.max_epochs or 0) - trainer.current_epoch - 1
        if epochs_left // (trainer.check_val_every_n_epoch or 1) % self.every:
            return
        self._tap = tap = FeatureTap(task, self.layer, self.num_classes)
        # A classifier larger than 1x1 has no single row to compare with a center.
        weight: Any = getattr(tap.layer, "weight", torch.empty(0))
        single = weight.numel() == self.num_classes * tap.in_features
        self._metric = CollapseMetric(
            self.num_classes,
            tap.in_features,
            classifier=tap.layer if single else None,
            ignore_index=self.ignore_index,
        ).to(task.device)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        task: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the features of one batch."""
        if self._tap is None or self._metric is None or dataloader_idx:
            return
        labels, inverse = self.labels_of(batch)
        self._metric.update(within(self._tap.features, labels), labels, inverse=inverse)

    def on_validation_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Log the measures and remove the tap."""
        if self._tap is None or self._metric is None:
            return
        numbers = self._metric.compute().numbers()
        # All ranks hold the same numbers already.
        logged = {f"collapse/{name}": float(value) for name, value in numbers.items()}
        task.log_dict(logged, sync_dist=True)
        self._tap.remove()
        self._tap = self._metric = None
