"""Checkup: the records of all splits and the training they are for, as the checks see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from equiseg.data.doctor.record import SplitRecord
from equiseg.data.sample import DataSpec


@dataclass(frozen=True)
class PlannedTraining:
    """How the data will be trained on, as far as checks depend on it.

    Attributes:
        batch_size: Images per step; 8 as in training.
        min_count: Classes with fewer pixels in a batch have no center; as of
            :class:`equiseg.CenterCollapseLoss`.
        min_images: Classes in fewer training images are called rare. With 10, a tenth of a class
            is one image.
        dim: Channels of the features before the classifier; None leaves that check out.

    Raises:
        ValueError: If the batch size or the least count is below 1.
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
    """A data set that was read, and the options of the training it is for.

    Attributes:
        spec: Classes, channels and kind of the data.
        records: Counts and fingerprints of each split that could be opened.
        listed: Whether classes are a list, for the values 0, 1, ...
        planned: The training that the data are for.
    """

    spec: DataSpec
    records: Mapping[str, SplitRecord]
    listed: bool
    planned: PlannedTraining

    @property
    def sample(self) -> str:
        """What a sample is called."""
        return "scan" if self.spec.holds_points else "image"

    @property
    def place(self) -> str:
        """What a labelled place is called."""
        return "point" if self.spec.holds_points else "pixel"

    def names(self, ids: list[int]) -> list[str]:
        """Names of classes."""
        return [self.spec.classes[k] for k in ids]
