"""PointSample and PointData: one scan or block with its labels, and a data set of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor


class PointSample(NamedTuple):
    """Labelled points.

    Attributes:
        xyz_N3: (N, 3) float32, meters from an origin near the points.
        features_NC: (N, C) float32, the network's input at each point, in addition to its
            coordinates.
        labels_N: (N,) uint8 or int64 class ids; ``ignore_index`` where the label is unknown, and
            for the points of the context around a block.
        name: Name of the sample, unique in its data set.
    """

    xyz_N3: Tensor
    features_NC: Tensor
    labels_N: Tensor
    name: str

    @property
    def labels(self) -> Tensor:
        """The labels under the name that all kinds of samples share."""
        return self.labels_N


class PointData(Protocol):
    """A map-style data set of point samples.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class for "nothing named", if there is one.
        groups: Names of the classes in head, common and tail, if a benchmark defines them.
        channels: Names of the C feature channels.
        voxel_size: Side of a voxel in meters.
    """

    classes: tuple[str, ...]
    ignore_index: int
    background: int | None
    groups: Mapping[str, Sequence[str]] | None
    channels: tuple[str, ...]
    voxel_size: float

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> PointSample:
        """The sample at ``index``."""
        ...
