"""DataProfile: class frequencies, imbalance and context of a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from equiseg.data.errors import DataError
from equiseg.data.sample import DataSpec
from equiseg.data.statistics.by_name import Named
from equiseg.data.statistics.counting import Counts
from equiseg.imbalance import (
    ClassStatistics,
    ClassTable,
    FrequencyGroups,
    effective_num_classes,
    gini,
    imbalance_factor,
)
from equiseg.records.envelope import read_record, write_record
from equiseg.records.json_values import without_nan


@dataclass(frozen=True, eq=False)
class Level:
    """Counts of the classes in one unit.

    Attributes:
        name: pixels (points), regions, images (scans, blocks) or centers.
        counts_K: (K,) counts of each class; for centers, the expected number in a batch.
    """

    name: str
    counts_K: Tensor

    @property
    def imbalance_factor(self) -> float:
        """Count of the most common class over the count of the rarest class that occurs."""
        return imbalance_factor(self.counts_K)

    @property
    def gini(self) -> float:
        """Gini coefficient: 0 if all classes are equally frequent, near 1 if one has everything."""
        return gini(self.counts_K)

    @property
    def effective_num_classes(self) -> float:
        """Number of equally frequent classes with the same entropy."""
        return effective_num_classes(self.counts_K)

    def relative(self) -> Tensor:
        """(K,) counts over the count of the most common class."""
        return self.counts_K.double() / max(float(self.counts_K.max()), 1e-300)


@dataclass(frozen=True, eq=False)
class DataProfile:
    """Counts of the classes of a data set, with the names and units to show them.

    Attributes:
        title: Name of the data.
        classes: Names of the K classes.
        counts: Counts of one pass over the data.
        batch_size: Images in a batch, for the centers.
        split: Name of the split; empty if there are no splits.
        unit: "pixel" or "point".
        sample: Kind of sample: "image", "scan" or "block".
        voxel_size: Side of the voxels whose neighbours were counted, in meters; None for images.
        fixed_groups: Names of the classes in head, common and tail, if a benchmark defines them.
        table_regions_K: (K,) regions, if a table of published counts lists them.
    """

    title: str
    classes: tuple[str, ...]
    counts: Counts
    batch_size: int = 8
    split: str = ""
    unit: str = "pixel"
    sample: str = "image"
    voxel_size: float | None = None
    fixed_groups: Mapping[str, Sequence[str]] | None = None
    table_regions_K: Tensor | None = None

    @classmethod
    def of(cls, named: Named, counts: Counts, batch_size: int = 8) -> DataProfile:
        """Profile of counted data; without a card, only of the values that occur."""
        spec = DataSpec.of(named.data)
        classes = spec.classes
        if named.bare:
            found = counts.statistics.pixels_K.nonzero().flatten().tolist()
            if not found:
                raise DataError(
                    f"{named.title}: nothing is labelled, every value is ignored; choose other "
                    "--ignore_values"
                )
            classes, counts = tuple(classes[k] for k in found), counts.of_classes(found)
        return cls(
            named.title,
            classes,
            counts,
            batch_size,
            named.split,
            "point" if spec.holds_points else "pixel",
            named.sample,
            spec.voxel_size,
            spec.groups,
        )

    @classmethod
    def of_table(cls, title: str, table: ClassTable, batch_size: int = 8) -> DataProfile:
        """Profile of published counts, without context and sizes."""
        counts = Counts(table.statistics, None)
        return cls(title, table.names, counts, batch_size, table_regions_K=table.regions_K)

    @property
    def regions_K(self) -> Tensor | None:
        """(K,) connected regions of each class, or None."""
        context = self.counts.context
        return self.table_regions_K if context is None else context.regions_K

    def table(self) -> ClassTable:
        """Names and counts as a table, for CSV."""
        return ClassTable(self.classes, self.statistics, self.regions_K)

    @property
    def statistics(self) -> ClassStatistics:
        """Pixels and images of each class."""
        return self.counts.statistics

    @property
    def groups(self) -> FrequencyGroups:
        """Head, common and tail: fixed by the benchmark, or thirds by frequency in these data."""
        pixels_K = self.statistics.pixels_K
        if self.fixed_groups is None:
            return FrequencyGroups.from_counts(pixels_K)
        ids = {name: k for k, name in enumerate(self.classes)}
        return FrequencyGroups.from_mapping(
            {
                group: sorted((ids[name] for name in names), key=lambda k: -int(pixels_K[k]))
                for group, names in self.fixed_groups.items()
            }
        )

    @property
    def levels(self) -> list[Level]:
        """Pixels, regions if counted, images and centers.

        Pixels are the unit of a loss over pixels, centers of a loss over class centers.
        """
        statistics, regions_K = self.statistics, self.regions_K
        return [
            Level(f"{self.unit}s", statistics.pixels_K),
            *([Level("regions", regions_K)] if regions_K is not None else []),
            Level(f"{self.sample}s", statistics.images_K),
            Level("centers", statistics.centers_per_batch(self.batch_size)),
        ]

    @property
    def absent(self) -> list[str]:
        """Names of the classes that do not occur."""
        return [self.classes[k] for k in (self.statistics.pixels_K == 0).nonzero().flatten()]

    @property
    def unlabelled(self) -> float:
        """Share of pixels without a class; NaN if the number of all pixels is unknown."""
        total = self.counts.num_pixels
        return 1 - int(self.statistics.pixels_K.sum()) / total if total else math.nan

    def class_rows(self) -> list[dict[str, Any]]:
        """One row per class, by group, the most frequent first: counts and shares."""
        statistics = self.statistics
        total = max(1, int(statistics.pixels_K.sum()))
        by_level = {level.name: level.counts_K.tolist() for level in self.levels}
        return [
            {
                "class_id": k,
                "name": self.classes[k],
                "group": group,
                "share": int(statistics.pixels_K[k]) / total,
                **{name: counts[k] for name, counts in by_level.items()},
            }
            for group, ids in self.groups
            for k in ids
        ]

    def level_rows(self) -> list[dict[str, Any]]:
        """One row per level: its measures of imbalance."""
        return [
            {
                "level": level.name,
                "imbalance_factor": level.imbalance_factor,
                "gini": level.gini,
                "effective_num_classes": level.effective_num_classes,
            }
            for level in self.levels
        ]

    def context_numbers(self) -> dict[str, float]:
        """Measures of context by name; entropies in bits. Empty if not counted."""
        context = self.counts.context
        if context is None:
            return {}
        return {
            "neighbour_correlation": context.neighbour_correlation(),
            "entropy": context.entropy(),
            "conditional_entropy": context.conditional_entropy(),
            "border_entropy": context.entropy(across_borders=True),
            "border_conditional_entropy": context.conditional_entropy(across_borders=True),
        }

    def summary(self) -> dict[str, Any]:
        """The numbers of the profile for JSON; None for undefined numbers."""
        numbers: dict[str, Any] = without_nan(
            {
                "title": self.title,
                "split": self.split,
                "unit": self.unit,
                "sample": self.sample,
                "batch_size": self.batch_size,
                "voxel_size": self.voxel_size,
                f"num_{self.sample}s": self.statistics.num_images,
                "unlabelled": self.unlabelled,
                "absent": self.absent,
                "levels": self.level_rows(),
                "context": self.context_numbers(),
                "classes": self.class_rows(),
            }
        )
        return numbers

    def record(self) -> dict[str, Any]:
        """The summary and all counts, ready for JSON; :meth:`load` reads them back."""
        kept = {
            "counts": self.counts.to_dict(),
            "fixed_groups": self.fixed_groups
            and {k: list(v) for k, v in self.fixed_groups.items()},
        }
        return self.summary() | kept

    def save(self, path: Path, **more: Any) -> None:
        """Write the record as JSON.

        Args:
            path: The file.
            **more: Other facts for the page, as the command.
        """
        write_record(path, "data set", self.record() | more)

    @classmethod
    def load(cls, path: Path, batch_size: int | None = None) -> DataProfile:
        """A profile from a file that :meth:`save` wrote.

        Args:
            path: The file.
            batch_size: Images in a batch; None takes the number in the file.

        Raises:
            DataError: If it is no file of statistics.
        """
        try:
            values = read_record(path, "data set", ("classes", "counts"), "equiseg stats")
            rows = sorted(values["classes"], key=lambda row: row["class_id"])
            return cls(
                values["title"],
                tuple(row["name"] for row in rows),
                Counts.from_dict(values["counts"]),
                batch_size or values["batch_size"],
                values["split"],
                values["unit"],
                values["sample"],
                values["voxel_size"],
                values["fixed_groups"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: no statistics of a data set ({type(error).__name__}: {error}); take a "
                "statistics.json that equiseg stats --out wrote"
            ) from error
