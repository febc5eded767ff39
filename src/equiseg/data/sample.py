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
    """A map-style data set of samples: what training, statistics and evaluation read.

    Attributes:
        classes: Names of the classes.
        ignore_index: Label of what is not labelled.
        background: The class that stands for "nothing named", if there is one. It is learned and
            scored as any other; scores are given with and without it.
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
