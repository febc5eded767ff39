"""A cache of samples in memory, and the pass that fills it and checks all samples."""

from __future__ import annotations

import torch
from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.sample import DataSpec, Sample, SegmentationData
from equiseg.foreign_files import FileError
from equiseg.labels import check_labels, count_labels
from equiseg.progress import Track, untracked


class CachedData:
    """A data set that keeps its samples in memory, up to a number of bytes.

    Samples are kept in the order of the first reads until the budget is used up; the others are
    read again each time. Fill the cache before data workers start (:func:`survey` does): forked
    workers share its memory.

    Args:
        data: The data set to read.
        max_bytes: Largest size of the cache in bytes. 0 keeps nothing.

    Attributes:
        kept_bytes: Bytes kept so far.
        sizes: The different (H, W) read so far; for point clouds, the numbers of points.
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
        self.labelled_only = self.spec.labelled_only
        self.max_bytes = max_bytes
        self.kept_bytes = 0
        self.sizes: set[tuple[int, ...]] = set()
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        """The sample at ``index``, from memory if it was kept."""
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
    """Read every sample once, count its classes, and report all broken samples.

    Args:
        data: The data set.
        name: Name of the data set in the error.
        track: Shows the progress over the samples.

    Returns:
        (S, K) int64 number of labels of each class in each sample.

    Raises:
        DataError: If files cannot be used; the message lists all of them.
    """
    problems: list[str] = []
    num_classes = len(data.classes)
    counts_SK = torch.zeros(len(data), num_classes, dtype=torch.int64)
    for index in track(range(len(data)), name):
        try:
            sample = data[index]
        except FileError as error:
            problems.append(str(error))
            continue
        try:  # image folders check masks themselves; other data sets are checked here
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
