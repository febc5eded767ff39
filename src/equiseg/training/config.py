"""Everything a run depends on, in typed and frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from equiseg.data.config import DataConfig
from equiseg.dotted_names import absolute_name
from equiseg.evaluation.config import EvaluationConfig


@dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Attributes:
        name: Name of the network; by default the small one for the kind of data. For images:
            fpn-small, fpn-lite0, segformer-b0 to b5, upernet-swin-t/s/b, upernet-convnext-t/s/b,
            deeplabv3plus-mobilenetv2, beit-b/l, or smp/ARCHITECTURE/ENCODER. For point clouds:
            minkunet-small, minkunet-14a, -18a, -34a or -34c. Your own: "my_module.build" or
            "file.py:build", called as build(num_classes=K, in_channels=C).
        weights: Pretrained weights: a local folder or hub name for transformers architectures.
            None takes what the name implies.
        freeze: Encoder stages that keep their weights and batch statistics, counted from the
            image, 0 to 4. For pretrained weights and little data or time.
        keep_views: Number of augmented views of each training image whose features of the frozen
            stages are stored. Training on these is faster and has less variety. 0 runs the frozen
            stages every time.
        layer: Dotted name of the pixel classifier in a network of your own, where more than one
            layer could be it. Default: search for it.
    """

    name: str | None = None
    weights: str | None = None
    freeze: int = 0
    keep_views: int = 0
    layer: str | None = None

    def __post_init__(self) -> None:
        if self.keep_views < 0:
            raise ValueError(f"model.keep_views must be >= 0, got {self.keep_views}")
        if self.name is not None:
            object.__setattr__(self, "name", absolute_name(self.name))


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule.

    Attributes:
        name: "adamw", or "sgd" with Nesterov momentum 0.9.
        lr: Peak learning rate.
        encoder_lr: Factor on the learning rate for the encoder. Below 1 for pretrained weights.
        weight_decay: Weight decay, except for norms and biases.
        schedule: Decay after the warm-up, to zero at the last step: "poly" with power 0.9,
            "cosine", or "constant".
        warmup: Share of the steps over which the rate rises linearly.
        clip: Largest gradient norm; 0 does not clip.
        accumulate: Batches per step. Center losses see one batch at a time: k batches of B images
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
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"optimizer.{name} must be finite and >= 0, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class TrainConfig:
    """One run.

    Attributes:
        data: Which images or point clouds.
        model: Which network.
        method: A loss, a weighted sum of losses, or "ceco": cross entropy with the center collapse
            regularizer. This is the default because it is the method of this package and costs
            almost nothing; "cross_entropy + dice" gains more on rare classes in the study
            (docs/explanation/choosing.md). A loss has the name of its file ("cross_entropy",
            "focal") or is a class of your own ("my_module.MyLoss"); a sum is written
            "0.5*cross_entropy + 0.5*lovasz + center_collapse(scale=10)". "ceco_published" has the
            branch as its authors released it. Statistics of the training labels are given by name:
            prior=pixel or image, class_counts=pixel or image, and class_weight= by formula
            (inverse, square_root, enet, median_frequency, effective_number).
        adjust: Tau of post-hoc logit adjustment (Menon et al. 2021). After training, tau times the
            log-prior of the training pixels is subtracted from the classifier's bias. 0 leaves it;
            values up to 1 favour rare classes at the cost of frequent ones. For networks trained
            with plain cross entropy.
        optimizer: The optimizer and its schedule.
        evaluation: How images or scans are predicted in validation and test.
        epochs: Passes over the training images or blocks.
        batch_size: Images or blocks per step, on each process.
        seed: Seed of the initial weights, the shuffling and the augmentation.
        precision: "32", or "bf16" / "16" for automatic mixed precision.
        threads: CPU threads of the process. None takes torch's own choice.
        val_every: Epochs between validations.
        patience: Validations without a better mIoU after which to stop; None never stops early.
        score_test: Score the test split, if there is one, when training ends. A study does not
            score it for settings that it only tries.
        log_collapse: Measure neural collapse in validation, for curves over the epochs of at most
            15 points; the last validation is one of them.
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
        # Options are listed and read without torch; the losses of a method need it.
        from equiseg.training.methods import absolute_method, parse_method

        # evaluate and diagnose find the loss from any folder
        object.__setattr__(self, "method", absolute_method(self.method))
        for term in parse_method(self.method):
            if self.adjust and getattr(term.build, "adjusts_logits", False):
                raise ValueError(
                    f"adjust={self.adjust} would subtract the prior a second time after "
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
