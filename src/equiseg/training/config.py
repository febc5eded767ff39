"""Everything a run depends on, in typed and frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from equiseg.data.config import DataConfig
from equiseg.evaluation.config import EvaluationConfig
from equiseg.training.methods import absolute_method, parse_method


@dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Attributes:
        name: fpn-small, fpn-lite0, segformer-b0 to b5, upernet-swin-t/s/b, upernet-convnext-t/s/b,
            deeplabv3plus-mobilenetv2, beit-b/l, or smp/ARCHITECTURE/ENCODER for images;
            minkunet-small, minkunet-14a, -18a, -34a or -34c for point clouds. None takes the small
            one that suits the data.
        weights: Pretrained weights: a local folder or hub name for transformers architectures.
            None takes what the name implies.
        freeze: Encoder stages that keep their weights and batch statistics, counted from the
            image, 0 to 4. For pretrained weights and little data or time.
        keep_views: Keep what the frozen stages make of this many augmented views of each training
            image, and train on those: faster, at the price of variety. 0
            runs the frozen stages anew each time.
    """

    name: str | None = None
    weights: str | None = None
    freeze: int = 0
    keep_views: int = 0

    def __post_init__(self) -> None:
        if self.keep_views < 0:
            raise ValueError(f"model.keep_views must be >= 0, got {self.keep_views}")


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move.

    Attributes:
        name: "adamw", or "sgd" with Nesterov momentum 0.9.
        lr: Peak learning rate.
        encoder_lr: Factor on it for the encoder; below 1 for pretrained weights.
        weight_decay: Decay of the weights; norms and biases are spared.
        schedule: Decay after the warm-up, to zero at the last step: "poly" with power 0.9,
            "cosine", or "constant".
        warmup: Share of the steps over which the rate rises linearly.
        clip: Largest gradient norm; 0 does not clip.
        accumulate: Batches a step. Center losses see one batch at a time: k batches of B images
            give the mean of k regularizers over B images, not one over k * B.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    encoder_lr: float = 1.0
    weight_decay: float = 0.01
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    warmup: float = 0.05
    clip: float = 1.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise ValueError(f"optimizer.accumulate must be at least 1, got {self.accumulate}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"optimizer.warmup must be a share in [0, 1), got {self.warmup}")
        for name in ("lr", "encoder_lr", "weight_decay", "clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"optimizer.{name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class TrainConfig:
    """One run.

    Attributes:
        data: Which images or point clouds.
        model: Which network.
        method: What is minimised: a loss by the name of its file ("cross_entropy", "focal"), a
            weighted sum of losses ("0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)"),
            "ceco" for cross entropy with the center collapse regularizer, or "ceco_published" with
            the branch as its authors released it. What a loss must know of the training labels is
            named: prior=pixel or image, class_counts=pixel or image, and class_weight= by
            formula (inverse, square_root, enet, median_frequency, effective_number).
        adjust: Tau of post-hoc logit adjustment (Menon et al. 2021): after training, this share of
            the log-prior of the training pixels is taken off the classifier's bias. 0 leaves it;
            above 0 to 1 gives rare classes their due at the cost of frequent ones. For networks
            trained with plain cross entropy.
        optimizer: How the weights move.
        evaluation: How images or scans are predicted in validation and test.
        epochs: Passes over the training images or blocks.
        batch_size: Images or blocks a step on each process.
        seed: Of the initial weights, the shuffling and the augmentation.
        precision: "32", or "bf16" / "16" for automatic mixed precision.
        threads: CPU threads of the process; None takes torch's own choice.
        val_every: Epochs between validations.
        patience: Validations without a better mIoU after which to stop; None never stops early.
        score_test: Score the test split, if there is one, when training ends. A study does not
            score it for settings that are merely tried.
        log_collapse: Measure neural collapse at every validation, for curves over the epochs.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    method: str = "ceco"
    adjust: float = 0.0
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    epochs: int = 30
    batch_size: int = 8
    seed: int = 0
    precision: Literal["32", "bf16", "16"] = "32"
    threads: int | None = None
    val_every: int = 1
    patience: int | None = None
    score_test: bool = True
    log_collapse: bool = True

    def __post_init__(self) -> None:
        # evaluate and diagnose find the loss from any folder
        object.__setattr__(self, "method", absolute_method(self.method))
        for term in parse_method(self.method):
            if self.adjust and getattr(term.build, "adjusts_logits", False):
                raise ValueError(
                    f"adjust={self.adjust} would take the prior off a second time after "
                    f"{term.name}; use one of the two"
                )
        if not 0 <= self.adjust < math.inf:
            raise ValueError(f"adjust must be 0 or more, got {self.adjust}; 1 is the theory's")
        for name in ("epochs", "batch_size", "val_every", "threads", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be 0 to {2**32 - 1}, got {self.seed}")
        if self.epochs % self.val_every:
            raise ValueError(
                f"epochs must be a multiple of val_every={self.val_every}, so that the last one is "
                f"validated, got {self.epochs}; take "
                f"{(self.epochs // self.val_every + 1) * self.val_every} epochs, or a val_every "
                f"that divides {self.epochs}"
            )
