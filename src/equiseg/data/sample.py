"""What a data set yields: one image, its labels, its name."""

from typing import NamedTuple, Protocol

from torch import Tensor


class Sample(NamedTuple):
    """One labelled image.

    Attributes:
        image: uint8 RGB, (3, H, W).
        labels: uint8 or int64 class ids, (H, W); ``ignore_index`` where nothing is known.
        name: The image's name, unique in its data set; errors and predictions carry it.
    """

    image: Tensor
    labels: Tensor
    name: str


class SegmentationData(Protocol):
    """A map-style data set of samples: what training, statistics and evaluation read."""

    classes: tuple[str, ...]
    ignore_index: int

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``."""
        ...
