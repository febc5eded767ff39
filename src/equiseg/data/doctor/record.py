"""SplitRecord: counts and fingerprints of a split, collected sample by sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from equiseg.data.doctor.exam import Exam, Trouble
from equiseg.data.doctor.remembered_exams import all_exams
from equiseg.data.sample import DataSpec
from equiseg.imbalance import ClassStatistics
from equiseg.progress import Track

DARK = 16  # of 255: the range of 12-bit values that are read as 16-bit


class Fingerprint(NamedTuple):
    """The features by which a copy of a sample is recognised; a few hundred bytes.

    Attributes:
        name: Name of the sample.
        content: Digest of the decoded image, or of the points.
        labels: Digest of the labels.
        thumb: (8, 8) uint8 grey picture; None for points.
    """

    name: str
    content: bytes
    labels: bytes | None
    thumb: np.ndarray | None


@dataclass(eq=False)
class SplitRecord:
    """One split: counts over its samples, and a fingerprint of each.

    Attributes:
        name: Name of the split.
        statistics: Pixels (points) and images (scans) of each class, including the readable part of
            broken samples.
        largest_K: (K,) int64 largest number of pixels of each class in one sample.
        ignored: Pixels that are ignored.
        strange: Pixels by value, for values that are neither classes nor ignored.
        strange_beside: Usable pixels in the samples with strange values.
        blank: Names of samples without a labelled pixel.
        dark: Names of images that are nearly black.
        turned: Names of photographs that EXIF data turn without changing their size.
        sizes: Number of samples of each size.
        troubles: Reasons why samples cannot be used.
        fingerprints: Fingerprints of all readable samples.
    """

    name: str
    statistics: ClassStatistics
    largest_K: Tensor
    ignored: int = 0
    strange: Counter[int] = field(default_factory=Counter)
    strange_beside: int = 0
    blank: list[str] = field(default_factory=list)
    dark: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)

    def add(self, exam: Exam) -> None:
        """Add one sample."""
        ids = np.array([*exam.counts], np.int64)
        pixels = np.array([*exam.counts.values()], np.int64)
        self.statistics.pixels_K.numpy()[ids] += pixels
        self.statistics.images_K.numpy()[ids] += 1
        largest_K = self.largest_K.numpy()
        largest_K[ids] = np.maximum(largest_K[ids], pixels)
        self.statistics.num_images += 1
        self.ignored += exam.ignored
        self.strange.update(exam.strange)
        if exam.strange:
            self.strange_beside += sum(exam.counts.values()) + exam.ignored
        self.troubles += exam.troubles
        if exam.size is not None:
            self.sizes[exam.size] += 1
        if not exam.troubles and not exam.counts:
            self.blank.append(exam.name)
        if exam.brightest is not None and 0 < exam.brightest < DARK:
            self.dark.append(exam.name)
        if exam.turned:
            self.turned.append(exam.name)
        if exam.content is not None:
            self.fingerprints.append(Fingerprint(exam.name, exam.content, exam.labels, exam.thumb))


def read_split(data: Any, name: str, num_workers: int, track: Track) -> SplitRecord:
    """Examine every sample of a split; samples that have not changed are not read again.

    Args:
        data: ``SegmentationData`` or ``PointData``.
        name: Name of the split.
        num_workers: Worker processes; 0 reads in this process.
        track: Shows the progress over the samples.
    """
    num_classes = len(DataSpec.of(data).classes)
    record = SplitRecord(
        name, ClassStatistics.zeros(num_classes), torch.zeros(num_classes, dtype=torch.int64)
    )
    for exam in all_exams(data, name, num_workers, track):
        record.add(exam)
    return record
