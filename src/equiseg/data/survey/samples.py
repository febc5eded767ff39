"""The survey before training: every sample is read and checked, its labels are counted."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.sample import SegmentationData
from equiseg.data.survey.asking import Question, ask_all, usable
from equiseg.labels import checked_counts
from equiseg.progress import Track, untracked


class Survey(NamedTuple):
    """Facts of the samples of a data set.

    Attributes:
        counts_SK: (S, K) int64 number of labels of each class in each of the S samples.
        sizes: The different (H, W) of the samples; for point clouds, the numbers of points.
    """

    counts_SK: Tensor
    sizes: frozenset[tuple[int, ...]]


def survey_samples(
    data: SegmentationData,
    name: str,
    *,
    num_workers: int = 0,
    track: Track = untracked,
) -> Survey:
    """Read every sample once, count its classes, and report all broken samples.

    Samples whose files have not changed since an earlier survey are not read again
    (:func:`~equiseg.data.survey.asking.ask_all`).

    Args:
        data: The data set.
        name: Name of the data set, for the error and the progress.
        num_workers: Worker processes that read; 0 reads in this process.
        track: Shows the progress over the samples that are read.

    Raises:
        DataError: If files cannot be used; the message lists all of them.
    """
    counts_SK = np.zeros((len(data), len(data.classes)), np.int64)
    sizes: set[tuple[int, ...]] = set()
    answers = ask_all(data, _SAMPLES, name, num_workers=num_workers, track=track)
    for index, (size, ids, counts) in usable(answers, f"{name}: files that cannot be used"):
        sizes.add(tuple(size))
        counts_SK[index, ids] = counts
    return Survey(torch.from_numpy(counts_SK), frozenset(sizes))


def size_and_counts(
    labels: Tensor, num_classes: int, ignore_index: int
) -> tuple[tuple[int, ...], list[int], list[int]]:
    """The shape of labels, the classes that occur, and how often each does.

    Args:
        labels: Integer labels of any shape.
        num_classes: Number of classes K.
        ignore_index: Label of what is not labelled.

    Raises:
        TypeError: If labels are not integers.
        ValueError: If a label is neither a class nor ignored.
    """
    counts_K = checked_counts(labels, num_classes, ignore_index=ignore_index)
    ids = counts_K.nonzero().squeeze(1)
    return tuple(labels.shape), ids.tolist(), counts_K[ids].tolist()


def _ask(data: Any, index: int) -> tuple[tuple[int, ...], list[int], list[int]]:
    """Size and counts of a sample; to get them, all of it is read."""
    sample = data[index]
    try:
        return size_and_counts(sample.labels, len(data.classes), data.ignore_index)
    except (TypeError, ValueError) as error:
        raise DataError(f"{sample.name}: {error}") from error


_SAMPLES = Question("samples", 1, _ask)
