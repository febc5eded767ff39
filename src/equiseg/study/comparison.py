"""Comparison: finished runs of several methods over the same seeds, paired by seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError
from equiseg.metrics.catalogue import COMPARED
from equiseg.records.checked import Fields, check_classes, check_form, check_groups
from equiseg.records.record_files import read_record, write_record
from equiseg.records.run_result import RUN, SCORES, read_result
from equiseg.study.interval import Interval

COMPARISON = "comparison.json"
_AGAIN = "equiseg compare"
_FORM = Fields(
    {
        "split": str,
        "seeds": [int],
        "runs": {str: [RUN]},
        "classes": [str],
        "groups": {str: [int]},
        "pixels": [int],
    },
    {"unit": str, "data": str, "command": str},
)
_KEPT = ("best_epoch", "step_seconds", "data_wait_share", "peak_memory_bytes", "memory_of")


@dataclass(frozen=True)
class Comparison:
    """Finished runs of several variants over the same seeds.

    Attributes:
        split: Which split the scores are of.
        seeds: The seeds, the same for each variant.
        runs: For each variant its results, in the order of the seeds; the first is the baseline.
        classes: Names of the classes.
        groups: Class ids of head, common and tail, most frequent first.
        pixels: Training pixels (points) of each class.
        unit: What is counted, "pixel" or "point".
        data: Name of the data; empty in records that do not have it.
        command: The command that made it; likewise.
    """

    split: str
    seeds: list[int]
    runs: dict[str, list[dict[str, Any]]]
    classes: list[str]
    groups: dict[str, list[int]]
    pixels: list[int]
    unit: str = "pixel"
    data: str = ""
    command: str = ""

    @property
    def title(self) -> str:
        """Name of the data: as its card says, else the name of the card's file."""
        return self.data or Path(self.runs[self.baseline][0]["config"]["data"]["card"]).stem

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return next(iter(self.runs))

    @property
    def metrics(self) -> list[str]:
        """The scores all runs have; "foreground" only where there is a background class."""
        scores = [run[self.split] for results in self.runs.values() for run in results]
        return [metric for metric in COMPARED if all(metric in score for score in scores)]

    def values(self, variant: str, metric: str) -> list[float]:
        """A score of each seed, as a fraction."""
        return [run[self.split][metric] for run in self.runs[variant]]

    def class_values(self, variant: str, class_id: int) -> list[float]:
        """The IoU of one class at each seed."""
        return [run[self.split]["iou"][class_id] for run in self.runs[variant]]

    def collapse_values(self, variant: str, measure: str) -> list[float]:
        """A collapse measure at each seed; NaN where a record lacks it."""
        measures = [run[self.split]["collapse"] for run in self.runs[variant]]
        return [known.get(measure, math.nan) for known in measures]

    def difference(self, variant: str, metric: str) -> Interval:
        """A score against the baseline."""
        return Interval.paired(self.values(variant, metric), self.values(self.baseline, metric))

    def class_difference(self, variant: str, class_id: int) -> Interval:
        """The IoU of one class against the baseline."""
        ours, theirs = (self.class_values(v, class_id) for v in (variant, self.baseline))
        return Interval.paired(ours, theirs)

    def save(self, path: Path) -> None:
        """Write all of it as JSON, without the confusion matrices."""
        write_record(path, "comparison", dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> Comparison:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: If it is no such record, of a version that is not known, or not complete.
        """
        fields = dataclasses.fields(cls)
        needed = [field.name for field in fields if field.default is dataclasses.MISSING]
        values = read_record(path, "comparison", needed, _AGAIN)
        check_form(path, _AGAIN, values, _FORM)
        _check_runs(path, values)
        return cls(**{f.name: values[f.name] for f in fields if f.name in values})

    @classmethod
    def collect(
        cls,
        folders: dict[str, list[Path]],
        seeds: Sequence[int],
        split: str,
        *,
        data: str = "",
        command: str = "",
    ) -> Comparison:
        """Read the results of finished runs.

        Args:
            folders: Of each variant its runs, one a seed; the first variant is the baseline.
            seeds: The seeds, in this order.
            split: Which split the scores are of.
            data: Name of the data.
            command: The command that made the runs.

        Raises:
            ValueError: If the runs have no such split.
        """
        runs: dict[str, list[dict[str, Any]]] = {}
        result: dict[str, Any] = {}
        for name, paths in folders.items():
            runs[name] = []
            for path in paths:
                result = read_result(path)
                if split not in result:
                    raise ValueError(f"split must be one the runs were scored on, got {split!r}")
                kept = {
                    key: result[key]
                    for key in ("seed", *_KEPT, "provenance", "config")
                    if key in result  # older runs know less
                }
                scores = {key: result[split][key] for key in result[split] if key != "confusion"}
                runs[name].append(kept | {split: scores})
        shared = {key: result[key] for key in ("classes", "groups", "pixels")}
        unit = result.get("unit", "pixel")
        return cls(split, list(seeds), runs, **shared, unit=unit, data=data, command=command)


def _check_runs(path: Path, values: dict[str, Any]) -> None:
    """Check that runs, seeds and classes of a record belong together.

    Raises:
        FileError: If they do not.
    """
    num_classes, split = len(values["classes"]), values["split"]
    check_groups(path, _AGAIN, num_classes, values["groups"])
    check_classes(path, _AGAIN, num_classes, pixels=values["pixels"])
    if not (values["runs"] and values["seeds"]):
        raise FileError(f"{path}: has no runs; write it again with {_AGAIN}")
    for name, runs in values["runs"].items():
        if len(runs) != len(values["seeds"]):
            raise FileError(
                f"{path}: damaged or changed: {name} must have one run for each of "
                f"{len(values['seeds'])} seeds, got {len(runs)}; write it again with {_AGAIN}"
            )
        for run in runs:
            check_form(path, _AGAIN, run.get(split), SCORES)
            check_classes(path, _AGAIN, num_classes, iou=run[split]["iou"])
