"""What the checks look at: the records of all splits, and how training would use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from equiseg.data.doctor.record import SplitRecord
from equiseg.data.sample import DataSpec


@dataclass(frozen=True, eq=False)
class Checkup:
    """A data set that was read, and the options of the training it is for.

    Attributes:
        spec: What the data are.
        records: What was seen of each split that could be opened.
        listed: Whether classes are a list, so that they stand for the values 0, 1, ...
        batch_size: Images a step.
        min_count: Classes with fewer pixels in a batch have no center.
        min_images: Classes in fewer training images are called rare.
        dim: Channels of the features before the classifier; None if no network is named.
    """

    spec: DataSpec
    records: Mapping[str, SplitRecord]
    listed: bool
    batch_size: int
    min_count: int
    min_images: int
    dim: int | None

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
