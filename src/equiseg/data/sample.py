"""Sample, DataSpec, SegmentationData: an image with its labels, and the facts of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Sample(NamedTuple):
    """One labelled image.

    Attributes:
        image: uint8 RGB, (3, H, W). From a user's own data set: (C, H, W), uint8 or floating point
            in [0, 1].
        labels: uint8 or int64 class ids, (H, W); ``ignore_index`` where the label is unknown.
        name: Name of the image, unique in its data set; used in errors and for predictions.
    """

    image: Tensor
    labels: Tensor
    name: str


@dataclass(frozen=True)
class DataSpec:
    """Classes, channels and kind of a data set, of images or point clouds.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class for "nothing named", if there is one.
        channels: Names of the input channels of a network.
        voxel_size: Side of a voxel of point clouds, in meters; None for images.
        groups: Names of the classes in head, common and tail, if a benchmark defines them.
        labelled_only: Whether the rule of a benchmark leaves classes without labels out of all
            means, also if they are predicted.
    """

    classes: tuple[str, ...]
    ignore_index: int
    background: int | None = None
    channels: tuple[str, ...] = ("red", "green", "blue")
    voxel_size: float | None = None
    groups: Mapping[str, Sequence[str]] | None = None
    labelled_only: bool = False

    @classmethod
    def of(cls, data: Any) -> DataSpec:
        """The spec of a data set; images need classes, ignore_index and background only."""
        return cls(
            data.classes,
            data.ignore_index,
            data.background,
            getattr(data, "channels", cls.channels),
            getattr(data, "voxel_size", None),
            getattr(data, "groups", None),
            getattr(data, "labelled_only", False),
        )

    @property
    def holds_points(self) -> bool:
        """Whether the samples are point clouds."""
        return self.voxel_size is not None


class SegmentationData(Protocol):
    """A map-style data set of images for training, statistics and evaluation.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class for "nothing named", if there is one. It is learned and scored like
            any other class; scores are reported with and without it.
    """

    classes: tuple[str, ...]
    ignore_index: int
    background: int | None

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``."""
        ...
