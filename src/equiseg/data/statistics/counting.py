"""Counting the labels of a data set in one pass: parallel, resumable, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equiseg.data.points.sample import PointData
from equiseg.data.sample import SegmentationData
from equiseg.data.statistics.label_facts import CONTEXT, LABELS, LabelFacts
from equiseg.data.survey.asking import Notes, Question, ask_all, usable
from equiseg.data.survey.memory import Memory
from equiseg.data.survey.origins import file_data
from equiseg.data.survey.probes import Probed
from equiseg.imbalance import ClassStatistics, ContextStatistics
from equiseg.progress import Track, untracked


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

    def add(self, facts: LabelFacts) -> None:
        """Add the counts of one sample, in place."""
        ids = np.array(facts.ids, np.int64)
        self.statistics.pixels_K.numpy()[ids] += np.array(facts.counts, np.int64)
        self.statistics.images_K.numpy()[ids] += 1
        self.statistics.num_images += 1
        if self.context is not None and facts.context is not None:
            facts.context.add_to(self.context)
        self.num_pixels += math.prod(facts.size)
        self.smallest = _by_side(min, self.smallest, facts.size)
        self.largest = _by_side(max, self.largest, facts.size)


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
    images are not decoded. Counts of files are remembered: files that have not changed since an
    earlier or interrupted pass are not read again (:func:`~equiseg.data.survey.asking.ask_all`).

    Args:
        data: Images with masks, or labelled points.
        num_workers: Worker processes that read and count; 0 counts in this process.
        context: Whether to also count regions, neighbours and co-occurrence, a few milliseconds per
            image.
        progress_file: Database for the counts of data that are not read from files, so that an
            interrupted pass over the same data resumes. They are taken for the same if a few of
            their samples are. None remembers nothing of such data.
        track: Shows the progress over the samples that are read.

    Raises:
        DataError: If files cannot be used; raised after the pass with all of them listed. The
            counts of the others are remembered.
    """
    question = CONTEXT if context else LABELS
    counts = Counts.zeros(len(data.classes), context=context)
    answers = ask_all(
        data,
        question,
        "counting classes",
        num_workers=num_workers,
        track=track,
        notes=_notes(data, question, progress_file),
    )
    for _, value in usable(answers, "files that cannot be used"):
        counts.add(LabelFacts.from_json(value))
    return counts


def _notes(data: Any, question: Question, progress_file: Path | None) -> Notes | None:
    """Where to remember the counts of data that are not read from files."""
    if progress_file is None or file_data(data) is not None:
        return None
    return Notes(Memory(progress_file, shared=False), Probed(data, question.name), by_file=False)


def _by_side(
    choose: Callable[[int, int], int], first: tuple[int, ...], second: tuple[int, ...]
) -> tuple[int, ...]:
    """The smallest or largest of each side; an empty tuple means nothing was counted."""
    if not first or not second:
        return first or second
    return tuple(choose(a, b) for a, b in zip(first, second, strict=True))
