"""The record of a data set's classes: statistics.json.

Shapes: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equiseg.records.checked import named_damage
from equiseg.records.record_files import read_record

STATISTICS = "statistics.json"
_NEEDED = ("title", "classes", "counts", "levels", "batch_size", "split", "unit", "sample")

_PAIRS = ("adjacency_KK", "cooccurrence_KK")


@dataclass(frozen=True, eq=False)
class Level:
    """The classes counted in one unit.

    Attributes:
        name: pixels (points), regions, images (scans, blocks) or centers.
        counts_K: (K,) counts of each class; for centers the expected number in a batch.
        imbalance_factor: Most frequent over rarest class that occurs.
        gini: 0 where all classes are as frequent, towards 1 where one holds everything.
        effective_num_classes: Number of equally frequent classes with the same entropy.
    """

    name: str
    counts_K: np.ndarray
    imbalance_factor: float
    gini: float
    effective_num_classes: float

    @classmethod
    def of(cls, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Level:
        """From the JSON of a level, and the rows of all classes in the order of their ids."""
        name = values["level"]
        return cls(
            name,
            _counts(name, [row[name] for row in rows], (len(rows),)),
            _number(values["imbalance_factor"]),
            _number(values["gini"]),
            _number(values["effective_num_classes"]),
        )

    def relative(self) -> np.ndarray:
        """(K,) counts over the count of the most frequent class."""
        shares_K: np.ndarray = self.counts_K / max(float(self.counts_K.max(initial=0)), 1e-300)
        return shares_K


@dataclass(frozen=True, eq=False)
class DataStatistics:
    """Counts of the classes of a data set: all that its page is drawn from.

    Attributes:
        title: Name of the data.
        classes: Names of the K classes.
        groups: Class ids of head, common and tail, most frequent first.
        levels: Pixels, regions where counted, images and centers.
        class_rows: A row for each class, by group, the most frequent first: name, group, share of
            all pixels, and its count of each level.
        batch_size: Images in a batch, for the centers.
        split: Name of the split, empty where there are none.
        unit: "pixel" or "point".
        sample: What a batch is made of: "image", "scan" or "block".
        voxel_size: Side of the voxels whose neighbours were counted, in meters; None for images.
        num_samples: Number of images, scans or blocks.
        images_K: (K,) images that hold a class.
        has_sizes: Whether the data themselves were counted, not a table of counts.
        smallest: Least size of a sample; empty where it was not counted.
        largest: Largest size of a sample.
        absent: Names of the classes that do not occur.
        unlabelled: Share of pixels without a class; NaN where all pixels were not counted.
        context: How much neighbours say about a class, by name; empty where it was not counted.
        adjacency_KK: Pairs of neighbouring pixels by class; None likewise.
        cooccurrence_KK: Images that hold both classes; None likewise.
        command: The command that counted them.
        made: How they were counted, name by name.
    """

    title: str
    classes: tuple[str, ...]
    groups: dict[str, list[int]]
    levels: list[Level]
    class_rows: list[dict[str, Any]]
    batch_size: int
    split: str
    unit: str
    sample: str
    voxel_size: float | None
    num_samples: int
    images_K: np.ndarray
    has_sizes: bool
    smallest: list[int]
    largest: list[int]
    absent: list[str]
    unlabelled: float
    context: dict[str, float]
    adjacency_KK: np.ndarray | None
    cooccurrence_KK: np.ndarray | None
    command: str
    made: dict[str, str]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> DataStatistics:
        """From JSON, where NaN is null; records without a version have all of it."""
        rows = values["classes"]
        for row in rows:
            if not isinstance(row["name"], str) or not isinstance(row["group"], str):
                raise TypeError(f"a class must have a name and a group, got {row!r:.80}")
            _number(row["share"])
        by_id = sorted(rows, key=lambda row: row["class_id"])
        counts, context = values["counts"], values["counts"]["context"]
        pairs = context or dict.fromkeys(_PAIRS)
        return cls(
            title=values["title"],
            classes=tuple(row["name"] for row in by_id),
            groups={
                group: [row["class_id"] for row in rows if row["group"] == group]
                for group in ("head", "common", "tail")
            },
            levels=[Level.of(level, by_id) for level in values["levels"]],
            class_rows=rows,
            batch_size=values["batch_size"],
            split=values["split"],
            unit=values["unit"],
            sample=values["sample"],
            voxel_size=values["voxel_size"],
            num_samples=values[f"num_{values['sample']}s"],
            images_K=_counts("images_K", counts["statistics"]["images_K"], (len(rows),)),
            has_sizes=bool(counts["num_pixels"]),
            smallest=counts["smallest"],
            largest=counts["largest"],
            absent=values["absent"],
            unlabelled=_number(values["unlabelled"]),
            context={name: _number(value) for name, value in values["context"].items()},
            adjacency_KK=_pairs(pairs, _PAIRS[0], len(rows)),
            cooccurrence_KK=_pairs(pairs, _PAIRS[1], len(rows)),
            command=values.get("command", ""),
            made=values.get("made", {}),
        )

    @classmethod
    def load(cls, path: Path) -> DataStatistics:
        """Read a statistics.json.

        Raises:
            ValueError: If it is no such record, of a version that is not known, or not complete.
        """
        values = read_record(path, "data set", _NEEDED, "equiseg stats")
        with named_damage(path, "equiseg stats"):
            return cls.of(values)


def _number(value: Any) -> float:
    """A number; null becomes NaN.

    Raises:
        TypeError: If it is neither.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number or null, got {value!r:.40}")
    return value


def _counts(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in an array of a shape.

    Raises:
        ValueError: If they are not numbers, or have another shape.
    """
    array = np.array(values)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers of the shape {shape}")
    return array


def _pairs(pairs: Mapping[str, Any], name: str, num_classes: int) -> np.ndarray | None:
    """Counts of pairs of classes; None where they were not counted."""
    rows = pairs[name]
    return None if rows is None else _counts(name, rows, (num_classes, num_classes))
