"""SegmentationTask: one training step and one validation, as Lightning runs them."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from equiseg.data.sample import DataSpec
from equiseg.evaluation.config import EvaluationConfig
from equiseg.evaluation.image_inference import predict
from equiseg.evaluation.inputs import Inputs, inverse_of, network_input
from equiseg.imbalance import ClassStatistics, FrequencyGroups
from equiseg.losses.fixed_buffers import fixed_buffers_of
from equiseg.metrics import Score, SegmentationScore
from equiseg.models import build_model, freeze_encoder
from equiseg.runs.finite import first_non_finite, first_overflow
from equiseg.tap import FeatureTap
from equiseg.training.collapse_curves import CollapseCurves
from equiseg.training.config import TrainConfig
from equiseg.training.config_file import plain
from equiseg.training.criterion import build_criterion
from equiseg.training.model_name import model_name
from equiseg.training.optimizer import build_optimizer, learning_rate_factor
from equiseg.training.sided_batches import SidedBatch


def _seed_of_rank(seed: int, epoch: int, rank: int) -> int:
    """A seed of 63 bits for the dropout of one rank in one epoch."""
    words = np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


class SegmentationTask(L.LightningModule):
    """A network, its criterion, and its score on the validation images or scans.

    Args:
        config: The run.
        spec: What the data are.
        statistics: Of the training labels: priors come from it.
        groups: Head, common and tail.
    """

    def __init__(
        self,
        config: TrainConfig,
        spec: DataSpec,
        statistics: ClassStatistics,
        groups: FrequencyGroups,
    ) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.model_name = model_name(config.model, spec)
        num_classes, ignore_index = len(spec.classes), spec.ignore_index
        model = build_model(
            self.model_name,
            num_classes,
            weights=config.model.weights,
            in_channels=len(spec.channels),
            layer=config.model.layer,
        )
        self.model = cast(Any, model)  # networks share attributes, but no class
        if not spec.holds_points:  # convolutions run faster with channels last
            self.model.to(memory_format=torch.channels_last)
        self._frozen = freeze_encoder(self.model, config.model.freeze)
        self.tap = FeatureTap(self.model, layer=self.model.classifier_name)
        self.criterion = build_criterion(
            config.method, statistics, self.tap.in_features, ignore_index
        )
        self.criterion.fix_classifier(self.tap.layer)
        self.score = SegmentationScore(
            num_classes,
            ignore_index=ignore_index,
            groups=groups,
            labelled_only=spec.labelled_only,
        )
        self.val_score: Score | None = None

    def on_train_epoch_start(self) -> None:
        """Tell the criterion the share of epochs that are done."""
        self.criterion.begin_epoch(self.current_epoch / max(self.config.epochs, 1))
        if self.global_rank:
            # Each rank has its own dropout, equal after a resume; rank 0 draws as one process.
            torch.manual_seed(_seed_of_rank(self.config.seed, self.current_epoch, self.global_rank))

    def on_train_batch_start(self, *_: Any) -> None:
        """Keep the batch statistics of frozen stages as they are."""
        for module in self._frozen:
            module.eval()

    def training_step(self, batch: tuple[Any, Tensor] | SidedBatch, batch_index: int) -> Tensor:
        """Sum of the criterion's parts on one batch, each logged by name."""
        inputs, labels, *rest = batch
        sides = rest[0] if rest else ()
        logits = self.model(network_input(inputs))
        try:
            parts = self.criterion(logits, self.tap.features, labels, inverse_of(inputs), sides)
        except ValueError:  # some losses refuse NaN before they compute
            if not bool(self.tap.features.isfinite().all() & logits.isfinite().all()):
                self._stop(f"in epoch {self.current_epoch + 1}", inputs)
            raise
        loss = torch.stack(list(parts.values())).sum()
        if loss.device.type == "cpu" and not torch.isfinite(loss):  # a GPU would wait each step
            self._stop(f"in epoch {self.current_epoch + 1}", inputs)
        # Every step weighs the same: Lightning would take the first size it finds for the batch's.
        # The mean over ranks is the loss that they minimise together.
        settings: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": 1}
        settings["sync_dist"] = self.trainer.world_size > 1
        for name, part in parts.items():
            self.log(f"loss/{name}", part.detach(), **settings)
        self.log("loss", loss.detach(), prog_bar=True, **settings)
        return loss

    def on_train_epoch_end(self) -> None:
        """Stop a run that has diverged: its scores would look like scores."""
        loss = self.trainer.callback_metrics.get("loss")
        if loss is not None and not torch.isfinite(loss):
            self._stop(f"after epoch {self.current_epoch + 1}")

    def _stop(self, when: str, inputs: Any = None) -> None:
        """Raise the error of a NaN or infinite loss, with the first layer that has such values."""
        if (layer := first_non_finite(self.model)) is not None:
            where = f"the first NaN or infinite weights are {layer}"
        elif inputs is not None and (layer := first_overflow(self.model, network_input(inputs))):
            where = f"the first NaN or infinite values come from layer {layer}"
        else:
            where = "all weights are finite, so the loss itself overflows"
        raise ValueError(
            f"the training loss is NaN or infinite {when}; {where}. The checkpoints keep the last "
            f"good epoch. Lower optimizer.lr={self.config.optimizer.lr}, clip the gradient "
            "(optimizer.clip) or train in precision 32, in a new folder"
        )

    def validation_step(self, batch: tuple[Inputs, Tensor], batch_index: int) -> None:
        """Count the predictions of one batch."""
        inputs, labels = batch
        predictions = predict(self.model, inputs, self.config.evaluation, self.spec.channels)
        self.score.update(predictions, labels)
        if self.config.evaluation != EvaluationConfig() and self._measures_collapse():
            # Collapse is measured on the last forward: that of the whole, unturned input.
            predict(self.model, inputs, EvaluationConfig(), self.spec.channels)

    def _measures_collapse(self) -> bool:
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        return any(isinstance(c, CollapseCurves) and c.is_measuring for c in callbacks)

    def on_validation_epoch_end(self) -> None:
        """Score the validation images, over all ranks."""
        self.val_score = score = self.score.compute()
        self.score.reset()
        for name in ("miou", "mean_accuracy", "pixel_accuracy", "head", "common", "tail"):
            self.log(f"val/{name}", getattr(score, name), prog_bar=name in ("miou", "tail"))
        values = zip(self.spec.classes, score.iou_K.tolist(), strict=True)
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
        """Save options, frames and the random state: a resumed run draws the same dropout."""
        checkpoint["config"] = plain(self.config)
        # The arguments of the losses determine these, but another machine may round otherwise.
        checkpoint["fixed_buffers"] = fixed_buffers_of(self.criterion, "criterion.")
        checkpoint["rng_state"] = torch.get_rng_state()
        if torch.cuda.is_available():
            checkpoint["cuda_rng_state"] = torch.cuda.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the random state, and take the frames of the checkpoint."""
        checkpoint["state_dict"].update(checkpoint.get("fixed_buffers", {}))
        if "rng_state" in checkpoint:
            torch.set_rng_state(checkpoint["rng_state"].cpu())
        if "cuda_rng_state" in checkpoint and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint["cuda_rng_state"].cpu())
