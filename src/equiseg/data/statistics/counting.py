"""Counting the labels of a data set in one pass: parallel, resumable, in constant memory."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from equiseg.data.errors import DataError
from equiseg.data.points.sample import PointData
from equiseg.data.points.voxels import majority_labels, voxelize
from equiseg.data.sample import DataSpec, SegmentationData
from equiseg.foreign_files import FileError, read_text
from equiseg.imbalance import ClassStatistics, ContextStatistics
from equiseg.progress import Track, untracked
from equiseg.whole_files import replace_text

_CHUNK = 16  # samples per result of a worker; a result is a few K x K tables
_SECONDS = 20.0  # seconds between two saves of the progress
_MOST_PROGRESS = 1 << 30  # bytes of counts of 10,000 classes, with room
_PROBES = 5  # samples that identify a data set


@dataclass(eq=False)
class Counts:
    """Counts of one pass over a data set; ``+`` adds the counts of parts.

    Attributes:
        statistics: Pixels (points) and images (scans, blocks) of each class.
        context: Regions, neighbours and co-occurrence of each class; None if not counted. For point
            clouds, voxels are counted, each with the class of most of its points.
        num_pixels: All pixels (points), labelled or not.
        smallest: Smallest height and smallest width of an image; for point clouds, smallest number
            of points. Empty if nothing was counted.
        largest: The largest, likewise.
    """

    statistics: ClassStatistics
    context: ContextStatistics | None
    num_pixels: int = 0
    smallest: tuple[int, ...] = ()
    largest: tuple[int, ...] = ()

    @classmethod
    def zeros(cls, num_classes: int, *, context: bool = True) -> Counts:
        """Counts before any sample was counted."""
        statistics = ClassStatistics.zeros(num_classes)
        return cls(statistics, ContextStatistics.zeros(num_classes) if context else None)

    def __add__(self, other: Counts) -> Counts:
        """Counts of both parts together.

        Raises:
            ValueError: If the parts have different classes.
        """
        both = self.context is not None and other.context is not None
        return Counts(
            self.statistics + other.statistics,
            self.context + other.context if both else None,  # type: ignore[operator]
            self.num_pixels + other.num_pixels,
            _by_side(min, self.smallest, other.smallest),
            _by_side(max, self.largest, other.largest),
        )

    def of_classes(self, ids: Sequence[int]) -> Counts:
        """The counts of some classes only, in the order given."""
        statistics, context = self.statistics, self.context
        chosen = torch.as_tensor(ids, dtype=torch.int64)
        pairs = chosen.unsqueeze(1), chosen
        return Counts(
            ClassStatistics(
                statistics.pixels_K[chosen], statistics.images_K[chosen], statistics.num_images
            ),
            None
            if context is None
            else ContextStatistics(
                context.regions_K[chosen],
                context.adjacency_KK[pairs],
                context.cooccurrence_KK[pairs],
                context.num_images,
            ),
            self.num_pixels,
            self.smallest,
            self.largest,
        )

    def to_dict(self) -> dict[str, Any]:
        """The counts as lists and integers for JSON; :meth:`from_dict` reads them."""
        return {
            "statistics": self.statistics.to_dict(),
            "context": None if self.context is None else self.context.to_dict(),
            "num_pixels": self.num_pixels,
            "smallest": list(self.smallest),
            "largest": list(self.largest),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Counts:
        """Counts from the result of :meth:`to_dict`.

        Raises:
            KeyError: If a field is missing.
            ValueError: If counts are missing or their shapes disagree.
        """
        context = values["context"]
        return cls(
            ClassStatistics.from_dict(values["statistics"]),
            None if context is None else ContextStatistics.from_dict(context),
            int(values["num_pixels"]),
            tuple(values["smallest"]),
            tuple(values["largest"]),
        )

    def _add(self, data: Any, index: int, voxel: float | None) -> None:
        """Add the counts of one sample; of an image only the labels are read, if possible.

        Raises:
            DataError: If it cannot be read.
            TypeError: If its labels are not integers.
            ValueError: If a label is neither a class nor ignored.
        """
        ignored = data.ignore_index
        labels = _labels(data, index) if voxel is None else (sample := data[index]).labels
        self.statistics.add(labels, ignore_index=ignored)
        if self.context is not None and voxel is None:
            self.context.add(labels, ignore_index=ignored)
        elif self.context is not None:
            assert voxel is not None
            voxels = voxelize(sample.xyz_N3, voxel)
            majority_V = majority_labels(labels, voxels, len(data.classes), ignored)
            self.context.add_voxels(voxels.coordinates_V3, majority_V, ignore_index=ignored)
        self.num_pixels += labels.numel()
        self.smallest = _by_side(min, self.smallest, tuple(labels.shape))
        self.largest = _by_side(max, self.largest, tuple(labels.shape))


def count_data(
    data: SegmentationData | PointData,
    *,
    num_workers: int = 0,
    context: bool = True,
    progress_file: Path | None = None,
    track: Track = untracked,
) -> Counts:
    """Count the labels of a data set in one pass.

    Memory does not depend on the number of images: one image (scan, block) per process and a few
    tables of K x K numbers. If ``data`` has a method ``labels(index)``, as image folders have,
    images are not decoded.

    Args:
        data: Images with masks, or labelled points.
        num_workers: Worker processes that read and count; 0 counts in this process.
        context: Whether to also count regions, neighbours and co-occurrence, a few milliseconds per
            image.
        progress_file: File for the counts so far, saved every 20 seconds and on interruption; a
            pass over the same data resumes from it. None saves nothing.
        track: Shows the progress over the remaining parts.

    Raises:
        DataError: If files cannot be used; raised after the pass with all of them listed. The
            counts of the others are in ``progress_file``.
        ValueError: If ``progress_file`` belongs to other data.
    """
    chunks = _Chunks(data, context)
    done, counts = set[int](), Counts.zeros(len(data.classes), context=context)
    if progress_file is not None and progress_file.exists():
        done, counts = _resumed(progress_file, chunks)
    left = [chunk for chunk in range(len(chunks)) if chunk not in done]
    loader = DataLoader(chunks, batch_size=None, sampler=left, num_workers=num_workers)
    problems: list[str] = []
    written = time.monotonic()
    try:
        for chunk, answer in zip(track(left, "counting classes"), loader, strict=True):
            part, broken = pickle.loads(answer)
            problems += broken
            if not broken:  # one statement: an interrupt counts no chunk twice
                counts, done = counts + part, done | {chunk}
            if progress_file is not None and time.monotonic() - written > _SECONDS:
                _keep(progress_file, chunks, done, counts)
                written = time.monotonic()
    finally:
        if progress_file is not None:
            _keep(progress_file, chunks, done, counts)
    if problems:
        raise DataError.listing("files that cannot be used", problems)
    return counts


class _Chunks(Dataset[bytes]):
    """Chunks of samples, counted in the worker that reads them.

    A result is pickled here, because tensors would go through shared memory, which is often small
    in containers.
    """

    def __init__(self, data: SegmentationData | PointData, context: bool) -> None:
        self.data = data
        self.context = context
        self.voxel = DataSpec.of(data).voxel_size
        self.size = max(1, min(_CHUNK, len(data) // 64))  # also small sets use all workers

    def __len__(self) -> int:
        return math.ceil(len(self.data) / self.size)

    def __getitem__(self, chunk: int) -> bytes:
        """Pickled counts of one chunk, and the problems of its files."""
        counts = Counts.zeros(len(self.data.classes), context=self.context)
        problems = []
        last = min((chunk + 1) * self.size, len(self.data))
        for index in range(chunk * self.size, last):
            try:
                counts._add(self.data, index, self.voxel)
            except FileError as error:
                problems.append(str(error))
            except (TypeError, ValueError) as error:  # labels that are no classes
                problems.append(f"{self.data[index].name}: {error}")
        return pickle.dumps((counts, problems))

    @cached_property
    def fingerprint(self) -> list[str | None]:
        """Digests of the options and of a few samples; None for samples that cannot be read."""
        data = self.data
        described = [data.classes, data.ignore_index, len(data), self.size, self.context]
        described.append(getattr(data, "reading", None))  # identifies how values become labels
        digests: list[str | None] = [_digest(json.dumps([*described, self.voxel]).encode())]
        for probe in range(_PROBES):
            try:
                labels = _labels(data, probe * (len(data) - 1) // (_PROBES - 1))
            except FileError:
                digests.append(None)
            else:
                digests.append(_digest(labels.numpy().tobytes()))
        return digests


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _labels(data: SegmentationData | PointData, index: int) -> Tensor:
    """The labels of a sample, without reading its image if possible."""
    read = getattr(data, "labels", None)
    labels: Tensor = data[index].labels if read is None else read(index)
    return labels


def _resumed(file: Path, chunks: _Chunks) -> tuple[set[int], Counts]:
    """The finished chunks of an earlier pass, and their counts."""
    try:
        kept = json.loads(read_text(file, _MOST_PROGRESS))
        # Files that could not be read are not compared: they may have been repaired since.
        pairs = zip(kept["data"], chunks.fingerprint, strict=True)
        same = all(before == now for before, now in pairs if before and now)
        done, counts = set(kept["done"]), Counts.from_dict(kept["counts"])
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: cannot resume from this file of counts ({error}); delete the file to "
            "start anew"
        ) from error
    if not same:
        raise ValueError(
            f"{file}: contains counts of other data, or of these data before they "
            "changed; delete the file to start again, or name another one"
        )
    return done, counts


def _keep(file: Path, chunks: _Chunks, done: set[int], counts: Counts) -> None:
    """Save the progress; an interrupted write leaves the previous file."""
    kept = {"data": chunks.fingerprint, "done": sorted(done), "counts": counts.to_dict()}
    replace_text(file, json.dumps(kept), durable=False)


def _by_side(
    choose: Callable[[int, int], int], first: tuple[int, ...], second: tuple[int, ...]
) -> tuple[int, ...]:
    """The smallest or largest of each side; an empty tuple means nothing was counted."""
    if not first or not second:
        return first or second
    return tuple(choose(a, b) for a, b in zip(first, second, strict=True))
