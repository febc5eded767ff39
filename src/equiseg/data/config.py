"""Options for the data of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from equiseg.data.images.config import AugmentConfig, check_size
from equiseg.data.points.config import PointAugmentConfig, PointCropConfig
from equiseg.data.sampling_config import SamplingConfig
from equiseg.data.synthetic.config import OLD_NAMES, SyntheticConfig
from equiseg.dotted_names import absolute_name
from equiseg.foreign_text import short

_MOST_WORKERS = 1024
_MOST_CACHE_GB = 100_000


@dataclass(frozen=True)
class PointsConfig:
    """Options for training on scans.

    Attributes:
        augment: Random changes of the points.
        crop: The part of a scan or block in a training step.
        supervision: "points" uses the label of every point, on the logits of its voxel; "majority"
            uses one label per voxel, the class of most of its points.
    """

    augment: PointAugmentConfig = field(default_factory=PointAugmentConfig)
    crop: PointCropConfig = field(default_factory=PointCropConfig)
    supervision: Literal["points", "majority"] = "points"


@dataclass(frozen=True)
class DataConfig:
    """The images or point clouds, and how they are read.

    Attributes:
        card: "pictures" or "scans" for the built-in data, the name of a card in the package
            (camvid, ccp, ign_lidar_hd, scannet200, ...), the path of a card of your own (.yaml), or
            a class of your own ("my_module.MyData", "file.py:MyData").
        root: Folder of the data; overrides the card's own.
        size: (H, W) to resize images to when reading. None keeps their own size.
        sampling: How often each training image, scan or block is drawn.
        augment: Random changes to training images.
        points: Options for training on scans.
        synthetic: The built-in pictures and scans.
        num_workers: Worker processes that check and load data; 0 does so in the training process.
        cache_gb: Memory for decoded images or scans of each training process, shared with its
            workers, in gigabytes. 0 keeps none.
    """

    card: str = "pictures"
    root: str | None = None
    size: tuple[int, int] | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    points: PointsConfig = field(default_factory=PointsConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    num_workers: int = 0
    cache_gb: float = 2.0

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size("data.size", self.size)
        if Path(self.card).suffix in (".yaml", ".yml"):
            # A run must find its card again when it is evaluated from another folder.
            card = str(Path(self.card).resolve())
        else:
            card = absolute_name(OLD_NAMES.get(self.card, self.card))
        object.__setattr__(self, "card", card)
        if not 0 <= self.num_workers <= _MOST_WORKERS:
            raise ValueError(
                f"data.num_workers must be 0 to {_MOST_WORKERS}, got {short(self.num_workers)}"
            )
        if not 0 <= self.cache_gb <= _MOST_CACHE_GB:
            raise ValueError(
                f"data.cache_gb must be 0 to {_MOST_CACHE_GB:,} gigabytes, got "
                f"{short(self.cache_gb)}"
            )
        if self.sampling.by != "turn" and self.points.crop.rare == 1:
            raise ValueError(
                f"data.sampling.by has no effect where data.points.crop.rare is 1, which chooses "
                f"every scan by class, got {self.sampling.by!r}; use one of the two"
            )

    @property
    def chooses_by_class(self) -> bool:
        """Whether some crops or pasted regions are chosen by class."""
        return bool(self.points.crop.rare or self.augment.rare or self.augment.paste)
