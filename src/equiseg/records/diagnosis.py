"""The record of diagnosed networks: diagnosis.json, and networks.json of a comparison.

Shapes: K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equiseg.records.checked import named_damage
from equiseg.records.history import Histories, histories_of
from equiseg.records.json_values import without_nan
from equiseg.records.record_files import read_record, write_record

DIAGNOSIS, NETWORKS = "diagnosis.json", "networks.json"
PIXEL, CENTER = "pixel cross entropy", "center branch"
_GROUPS = ("head", "common", "tail")
_SCORES = ("miou", *_GROUPS, "ece", *(f"{name}_ece" for name in _GROUPS))
_SEPARATION = ("maximal_separation", "num_present")
_CORRELATION = ("pearson", "num_classes")
_NEEDED = ("classes", "groups", "iou", "collapse", "center_cosines", "nearest_pairs", "gradients")


class ConfusedPair(NamedTuple):
    """Two classes whose centers lie close.

    Attributes:
        first: Class id.
        second: Class id.
        cosine: Of their centered centers.
        first_as_second: Share of the labels of the first that were predicted as the second.
        second_as_first: The other way round. A rare class lost to a frequent one shows in one of
            the two only.
    """

    first: int
    second: int
    cosine: float
    first_as_second: float
    second_as_first: float


@dataclass(frozen=True, eq=False)
class GradientRecord:
    """The gradient of one branch of the loss, class by class, as the mean over batches.

    Attributes:
        num_batches: Batches that were added up.
        batches_K: In how many of them the class had a gradient.
        counts_K: Label pixels (points) that take part, in all batches.
        mass_K: Gradient mass of the mean batch.
        pull_K: The part of it along the class's own row of the classifier.
        push_K: The part along the other rows.
        error_K: Mean error 1 - p in the batches that hold the class.
        rows_K: Norms of the gradients on the classifier's rows, from pixels of the class and from
            all others; empty in records that do not have them.
        slopes: How the mass grows with the share of a class, as a power: "present" in batches that
            hold it, "equal error" the same over the error, "mean" in the mean batch.
    """

    num_batches: int
    batches_K: np.ndarray
    counts_K: np.ndarray
    mass_K: np.ndarray
    pull_K: np.ndarray
    push_K: np.ndarray
    error_K: np.ndarray
    rows_K: dict[str, np.ndarray]
    slopes: dict[str, float]

    @classmethod
    def of(cls, values: Mapping[str, Any], num_classes: int) -> GradientRecord:
        """From the JSON of one branch."""
        lists = ("batches", "pixels", "mass", "pull", "push", "error_where_present")
        rows = ("row_gradient_within", "row_gradient_between")
        for name in (*lists, *(row for row in rows if row in values)):
            if _array(values[name]).shape != (num_classes,):
                raise ValueError(f"{name} must have one value for each of {num_classes} classes")
        slopes = {
            "present": values["slope_where_present"],
            "equal error": values["slope_at_equal_error"],
            "mean": values["slope"],
        }
        return cls(
            values["num_batches"],
            batches_K=_array(values["batches"]),
            counts_K=_array(values["pixels"]),
            mass_K=_array(values["mass"]),
            pull_K=_array(values["pull"]),
            push_K=_array(values["push"]),
            error_K=_array(values["error_where_present"]),
            rows_K={name: _array(values[name]) for name in rows if name in values},
            slopes=_numbers(slopes),
        )


@dataclass(frozen=True, eq=False)
class DiagnosisRecord:
    """What a network has learned of the classes of a split: all that its page is drawn from.

    Attributes:
        classes: Names of the K classes.
        groups: Class ids of head, common and tail, most frequent first.
        class_counts_K: Pixels (points) of each class in training.
        unit: "pixel" or "point".
        num_samples: Images or blocks that were looked at.
        scores: Scores by name (see ``equiseg.metrics.catalogue``) and their numbers of classes.
        iou_K: IoU of each class; NaN where there is none.
        accuracy_K: Accuracy of each class.
        confusion_KK: Counts, rows the labels, columns the predictions.
        calibration: For each bin of confidence the count and the sums of confidence and of correct
            predictions.
        numbers: Collapse measures by name.
        group_numbers: The same among the classes of each group.
        center_cosines_KK: Cosines between class centers; NaN for absent classes.
        classifier_cosines_KK: Cosines between the rows of the classifier; None without rows.
        correlation: Of IoU with the logarithm of the frequency: pearson, spearman, num_classes.
        pairs: The classes that lie closest, closest first.
        gradients: Of the pixel branch, where it could be split by class, and the center branch.
    """

    classes: tuple[str, ...]
    groups: dict[str, list[int]]
    class_counts_K: np.ndarray
    unit: str
    num_samples: int
    scores: dict[str, float]
    iou_K: np.ndarray
    accuracy_K: np.ndarray
    confusion_KK: np.ndarray
    calibration: dict[str, list[float]]
    numbers: dict[str, float]
    group_numbers: dict[str, dict[str, float]]
    center_cosines_KK: np.ndarray
    classifier_cosines_KK: np.ndarray | None
    correlation: dict[str, float]
    pairs: list[ConfusedPair]
    gradients: dict[str, GradientRecord]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> DiagnosisRecord:
        """From JSON, where NaN is null; records without a version have all of it."""
        classes = tuple(values["classes"])
        ids = {name: k for k, name in enumerate(classes)}
        unit = "point" if "training_points" in values else "pixel"
        rows = values["classifier_cosines"]
        floats = {k: v for k, v in values.items() if isinstance(v, int | float) or v is None}
        _check_sizes(values, len(classes))
        return cls(
            classes,
            values["groups"],
            np.array(values[f"training_{unit}s"]),
            unit,
            values["num_samples"],
            _numbers(floats, _SCORES),
            _array(values["iou"]),
            _array(values["accuracy"]),
            np.array(values["confusion"]),
            values["calibration"],
            _numbers(values["collapse"], _SEPARATION),
            {group: _numbers(known) for group, known in values["collapse_by_group"].items()},
            _array(values["center_cosines"]),
            None if rows is None else _array(rows),
            _numbers(values["frequency_correlation"], _CORRELATION),
            [
                ConfusedPair(
                    ids[pair["first"]],
                    ids[pair["second"]],
                    *_numbers({name: pair[name] for name in ConfusedPair._fields[2:]}).values(),
                )
                for pair in values["nearest_pairs"]
            ],
            {
                name: GradientRecord.of(known, len(classes))
                for name, known in values["gradients"].items()
            },
        )


@dataclass(frozen=True, eq=False)
class DiagnosisPage:
    """What the page of a diagnosis is drawn from.

    Attributes:
        networks: The network that was diagnosed, last, and the baseline before it, if any.
        data: Name of the data.
        split: The split.
        made: How it was made, name by name.
        command: The command that made it.
        curves: What the runs of these networks logged.
    """

    networks: dict[str, DiagnosisRecord]
    data: str
    split: str
    made: dict[str, str] = field(default_factory=dict)
    command: str = ""
    curves: Histories = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> DiagnosisPage:
        """Read a diagnosis.json; one without a version is called by the folder of its run.

        Raises:
            ValueError: If it is no such record, of a version that is not known, or not complete.
        """
        again = "equiseg diagnose"
        values = read_record(path, "diagnosis", (*_NEEDED, "run", "data"), again)
        with named_damage(path, again):
            return cls._of(values)

    @classmethod
    def _of(cls, values: dict[str, Any]) -> DiagnosisPage:
        both = [values["baseline"], values] if "baseline" in values else [values]
        names = [one.get("name") or _run_name(one["run"]) for one in both]
        if len(set(names)) < len(names):
            names = [one["run"] for one in both]
        return cls(
            {name: DiagnosisRecord.of(one) for name, one in zip(names, both, strict=True)},
            values.get("data_name") or Path(values["data"]).stem,
            values["split"],
            values.get("made", {"network": values["run"]}),
            values.get("command", ""),
            histories_of(values.get("curves", {})),
        )


@dataclass(frozen=True, eq=False)
class NetworksRecord:
    """What the networks of a comparison have learned, of one seed.

    Attributes:
        networks: Of each method that is shown; empty where none could be opened.
        where: On which samples.
        problem: Why there are no networks; empty where there are.
    """

    networks: dict[str, DiagnosisRecord]
    where: str = ""
    problem: str = ""

    @classmethod
    def load(cls, path: Path) -> NetworksRecord:
        """Read a networks.json.

        Raises:
            ValueError: If it is no such record or of a version that is not known.
        """
        needed = ("networks", "where", "problem")
        values = read_record(path, "networks", needed, "equiseg compare")
        with named_damage(path, "equiseg compare"):
            found = {name: DiagnosisRecord.of(known) for name, known in values["networks"].items()}
            return cls(found, str(values["where"]), str(values["problem"]))


def save_networks(
    path: Path, networks: Mapping[str, Mapping[str, Any]], where: str = "", problem: str = ""
) -> None:
    """Write the networks.json of a comparison; :meth:`NetworksRecord.load` reads it.

    Args:
        path: The file.
        networks: Of each method the record of its diagnosis.
        where: On which samples.
        problem: Why there are no networks, if so.
    """
    values = {"networks": without_nan(dict(networks)), "where": where, "problem": problem}
    write_record(path, "networks", values)


def _array(values: Any) -> np.ndarray:
    """Floats; null becomes NaN."""
    return np.array(values, dtype=float)


def _numbers(values: Mapping[str, Any], needed: Iterable[str] = ()) -> dict[str, float]:
    """Numbers by name; null becomes NaN.

    Raises:
        ValueError: If one is missing or not a number.
    """
    if missing := [name for name in needed if name not in values]:
        raise ValueError(f"there are no numbers {missing}")
    if wrong := [name for name, value in values.items() if not _is_number_or_null(value)]:
        raise ValueError(f"{wrong} must be numbers or null")
    return {name: math.nan if value is None else value for name, value in values.items()}


def _is_number_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _check_sizes(values: Mapping[str, Any], num_classes: int) -> None:
    """Compare the sizes of lists and matrices with the number of classes.

    Raises:
        ValueError: If one has another size, or a group an unknown id.
    """
    for name in ("iou", "accuracy", "confusion", "center_cosines", "classifier_cosines"):
        if values[name] is None:
            continue
        sides = (num_classes,) * (1 if name in ("iou", "accuracy") else 2)
        if _array(values[name]).shape != sides:
            raise ValueError(f"{name} must have the shape {sides}")
    ids = [class_id for known in values["groups"].values() for class_id in known]
    if any(type(k) is not int or not 0 <= k < num_classes for k in ids):
        raise ValueError(f"groups must hold ids of {num_classes} classes")


def _run_name(run: str) -> str:
    """The variant, for runs in variant/seed as compare makes them."""
    folder = Path(run)
    return folder.parent.name if folder.name.startswith("seed") else folder.name
