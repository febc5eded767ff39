"""Samples kept in memory, as far as memory allows; and the one pass that fills and checks them."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.sample import DataSpec, Sample, SegmentationData
from equiseg.labels import check_labels, count_labels
from equiseg.progress import Track, untracked


class CachedData:
    """A data set whose samples are read once and kept, up to a number of bytes.

    Samples are kept in the order they are first read until the budget is spent; the rest are read
    anew each time. Fill it before starting data workers (:func:`survey` does): forked workers
    share what is there.

    Args:
        data: The data set to read.
        max_bytes: Most bytes to keep. 0 keeps nothing.

    Attributes:
        kept_bytes: Bytes kept so far.
        sizes: The different (H, W) seen so far; of point clouds, the numbers of points.
    """

    def __init__(self, data: SegmentationData, max_bytes: int) -> None:
        self.data = data
        self.spec = DataSpec.of(data)
        self.classes = data.classes
        self.ignore_index = data.ignore_index
        self.background = data.background
        self.channels = self.spec.channels
        self.voxel_size = self.spec.voxel_size
        self.groups = self.spec.groups
        self.max_bytes = max_bytes
        self.kept_bytes = 0
        self.sizes: set[tuple[int, ...]] = set()
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``, from memory when it is there."""
        if index in self._kept:
            return self._kept[index]
        sample = self.data[index]
        self.sizes.add(tuple(sample.labels.shape))
        size = sum(part.nbytes for part in sample if isinstance(part, Tensor))
        if self.kept_bytes + size <= self.max_bytes:
            self.kept_bytes += size
            self._kept[index] = sample
        return sample


def survey(
    data: SegmentationData,
    name: str,
    track: Track = untracked,
) -> Tensor:
    """Read every sample once: report all that are broken, count the classes of the others.

    Args:
        data: The data set.
        name: Its name in the error.
        track: Shows the progress over the samples.

    Returns:
        (S, K) int64 labels of each class in each sample.

    Raises:
        DataError: Listing every file that cannot be used.
    """
    problems: list[str] = []
    num_classes = len(data.classes)
    counts_SK = torch.zeros(len(data), num_classes, dtype=torch.int64)
    for index in track(range(len(data)), name):
        try:
            sample = data[index]
        except DataError as error:
            problems.append(str(error))
            continue
        try:  # image folders name the mask's own values; other data sets are checked here
            check_labels(sample.labels, num_classes, ignore_index=data.ignore_index)
        except (TypeError, ValueError) as error:
            problems.append(f"{sample.name}: {error}")
        else:
            counts_SK[index] = count_labels(
                sample.labels, num_classes, ignore_index=data.ignore_index
            )
    if problems:
        raise DataError.listing(f"{name}: files that cannot be used", problems)
    return counts_SK
