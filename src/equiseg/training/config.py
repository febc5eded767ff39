"""Everything a run depends on, in typed and frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from inspect import isclass
from pathlib import Path
from typing import Literal

from equiseg.data.points.rooms import RoomConfig
from equiseg.data.points.transforms import PointAugmentConfig
from equiseg.data.points.view import PointCropConfig
from equiseg.data.sampling import SamplingConfig
from equiseg.data.scenes import SceneConfig
from equiseg.data.transforms import AugmentConfig
from equiseg.losses import LogitAdjustedLoss
from equiseg.training.methods import parse_method

BUILT_IN = ("scenes", "rooms")


@dataclass(frozen=True)
class PointsConfig:
    """How training scans are shown to the network.

    Attributes:
        augment: Random changes.
        crop: Which part of a scan or block.
        supervision: "points": every point is learned, through the voxel it lies in; "majority":
            every voxel learns the class most of its points have.
    """

    augment: PointAugmentConfig = field(default_factory=PointAugmentConfig)
    crop: PointCropConfig = field(default_factory=PointCropConfig)
    supervision: Literal["points", "majority"] = "points"


@dataclass(frozen=True)
class DataConfig:
    """Which images or point clouds, and how they are read.

    Attributes:
        card: "scenes" for the built-in pictures and "rooms" for the built-in scans, the name of a
            card that comes with equiseg (camvid, ccp, ign_lidar_hd, scannet200, ...), or the path
            of a card of your own (.yaml).
        root: Folder of the data; overrides the card's own.
        size: (H, W) to resize images to when reading. None keeps the size on disk.
        sampling: How often each training image, scan or block is drawn.
        augment: Random changes to training images.
        points: How training scans are shown.
        scenes: The built-in scenes, when ``card`` is "scenes".
        rooms: The built-in rooms, when ``card`` is "rooms".
        num_scenes: Built-in scenes or rooms in train, val and test.
        num_workers: Worker processes that load data; 0 loads in the training process.
        cache_gb: Most memory, in gigabytes, in which each process keeps decoded images. 0 keeps
            none.
    """

    card: str = "scenes"
    root: str | None = None
    size: tuple[int, int] | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    points: PointsConfig = field(default_factory=PointsConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    rooms: RoomConfig = field(default_factory=RoomConfig)
    num_scenes: tuple[int, int, int] = (400, 100, 200)
    num_workers: int = 0
    cache_gb: float = 2.0

    def __post_init__(self) -> None:
        if self.card in BUILT_IN and self.size is not None:
            raise ValueError(
                f"data.size is for image folders, got {self.size}; the built-in scenes are drawn "
                "at data.scenes.image_size, the rooms have none"
            )
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"data.size must be (H, W) of at least 1 pixel, got {self.size}")
        if Path(self.card).suffix in (".yaml", ".yml"):
            # A run must find its card again, from wherever it is evaluated.
            object.__setattr__(self, "card", str(Path(self.card).resolve()))
        if self.num_workers < 0 or self.cache_gb < 0:
            raise ValueError(
                f"data.num_workers and data.cache_gb must be >= 0, got {self.num_workers} and "
                f"{self.cache_gb}"
            )
        if self.sampling.by != "turn" and self.points.crop.rare == 1:
            raise ValueError(
                f"data.sampling.by has no effect where data.points.crop.rare is 1, which chooses "
                f"every scan by class, got {self.sampling.by!r}; use one of the two"
            )

    @property
    def chooses_by_class(self) -> bool:
        """Whether some crops, or things pasted into them, are chosen by class."""
        return bool(self.points.crop.rare or self.augment.rare or self.augment.paste)


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
class EvaluationConfig:
    """How an image or a scan is predicted.

    Attributes:
        window: (H, W) of a sliding window. None takes the whole image.
        stride: (H, W) between windows; None takes two thirds of the window.
        flip: Average with the prediction of the mirrored image or scan.
        scales: Average over these sizes of the image.
        votes: Average over this many grids of blocks, each shifted against the others, so that
            every point of a scan is seen in as many blocks. In test and prediction; validation
            while training takes one.
    """

    window: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    votes: int = 1


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
            named: prior=pixel or image, class_counts=pixel or image, and weight= or alpha= by
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
        for term in parse_method(self.method):
            if self.adjust and isclass(term.build) and issubclass(term.build, LogitAdjustedLoss):
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
