"""SegmentationTask: one training step and one validation, as Lightning runs them."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.metrics import Score, SegmentationScore
from equiseg.models import build_model, freeze_encoder
from equiseg.tap import FeatureTap
from equiseg.training.config import TrainConfig
from equiseg.training.criterion import build_criterion
from equiseg.training.inference import predict_logits
from equiseg.training.optimizer import build_optimizer, learning_rate_factor


class SegmentationTask(L.LightningModule):
    """A network, what it minimises, and its score on the validation images.

    Args:
        config: The run.
        classes: Names of the classes.
        statistics: Of the training labels: priors and head, common, tail come from it.
        ignore_index: Label value to leave out.
    """

    def __init__(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        statistics: ClassStatistics,
        ignore_index: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        model = build_model(config.model.name, len(classes), weights=config.model.weights)
        # Convolutions run faster with channels last.
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._frozen = freeze_encoder(self.model, config.model.freeze)
        layer: str = self.model.classifier_name
        self.tap = FeatureTap(self.model, layer=layer)
        self.criterion = build_criterion(config, statistics, self.tap.in_features, ignore_index)
        groups = FrequencyGroups.from_counts(statistics.pixels_K)
        self.score = SegmentationScore(len(classes), ignore_index, groups)
        self.val_score: Score | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        """Keep the batch statistics of frozen stages as they are."""
        for module in self._frozen:
            module.eval()

    def training_step(self, batch: tuple[Any, Tensor], batch_index: int) -> Tensor:
        """Sum of the criterion's parts on one batch, each logged by name."""
        inputs, labels = batch
        logits = self.model(inputs)
        parts = self.criterion(logits, self.tap.features, labels)
        loss = torch.stack(list(parts.values())).sum()
        for name, part in parts.items():
            self.log(f"loss/{name}", part.detach(), on_step=False, on_epoch=True)
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Stop a run that has diverged: its scores would look like scores."""
        loss = self.trainer.callback_metrics.get("loss")
        if loss is not None and not torch.isfinite(loss):
            raise ValueError(
                f"the training loss is {float(loss)} after epoch {self.current_epoch + 1}; lower "
                f"optimizer.lr={self.config.optimizer.lr}, clip the gradient (optimizer.clip) or "
                "train in precision 32, in a new folder"
            )

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Count the predictions of one batch."""
        images, labels = batch
        self.score.update(predict_logits(self.model, images, self.config.evaluation), labels)

    def on_validation_epoch_end(self) -> None:
        """Score the validation images, over all ranks."""
        self.val_score = score = self.score.compute()
        self.score.reset()
        for name in ("miou", "mean_accuracy", "pixel_accuracy", "head", "common", "tail"):
            self.log(f"val/{name}", getattr(score, name), prog_bar=name in ("miou", "tail"))
        values = zip(self.classes, score.iou_K.tolist(), strict=True)
        self.log_dict({f"val_iou/{name}": value for name, value in values})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimizer and per-step schedule of ``config.optimizer``."""
        config = self.config.optimizer
        optimizer = build_optimizer(self.model, self.criterion, config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, config))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random state: dropout goes on where it stopped."""
        checkpoint["rng_state"] = torch.get_rng_state()
        if torch.cuda.is_available():
            checkpoint["cuda_rng_state"] = torch.cuda.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the random state back."""
        if "rng_state" in checkpoint:
            torch.set_rng_state(checkpoint["rng_state"].cpu())
        if "cuda_rng_state" in checkpoint and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint["cuda_rng_state"].cpu())
