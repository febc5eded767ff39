"""Checkup: the input of the checks, records of all splits and the planned training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from equiseg.data.doctor.record import SplitRecord
from equiseg.data.sample import DataSpec


@dataclass(frozen=True)
class PlannedTraining:
    """The options of a planned training that checks depend on.

    Attributes:
        batch_size: Images per step; 8, the default of training.
        min_count: Classes with fewer pixels in a batch have no center, see
            :class:`equiseg.CenterCollapseLoss`.
        min_images: Classes in fewer training images are called rare. With 10, a tenth of a class
            is one image.
        dim: Channels of the features before the classifier; None skips the check of dimensions.

    Raises:
        ValueError: If ``batch_size`` or ``min_count`` is below 1.
    """

    batch_size: int = 8
    min_count: int = 1
    min_images: int = 10
    dim: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "min_count"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Checkup:
    """The records of a data set, and the options of the planned training.

    Attributes:
        spec: Classes, channels and kind of the data.
        records: Counts and fingerprints of each opened split.
        listed: Whether the classes are a list, for the values 0, 1, ...
        planned: Options of the planned training.
    """

    spec: DataSpec
    records: Mapping[str, SplitRecord]
    listed: bool
    planned: PlannedTraining

    @property
    def sample(self) -> str:
        """The word for a sample: "scan" or "image"."""
        return "scan" if self.spec.holds_points else "image"

    @property
    def place(self) -> str:
        """The word for a labelled element: "point" or "pixel"."""
        return "point" if self.spec.holds_points else "pixel"

    def names(self, ids: list[int]) -> list[str]:
        """Names of classes."""
        return [self.spec.classes[k] for k in ids]
