"""Scores of classes as plain numbers: their means, without NaN, and each by the class's name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from equiseg.imbalance import FrequencyGroups


def mean_known(values: Tensor) -> tuple[float, int]:
    """Mean of the values that are not NaN, and their number; NaN if there are none."""
    known = values[~values.isnan()]
    return (float(known.mean()) if len(known) else float("nan")), len(known)


def group_means(values_K: Tensor, groups: FrequencyGroups) -> dict[str, float]:
    """The mean over the classes of head, common and tail."""
    chosen = {name: torch.tensor(ids, dtype=torch.int64) for name, ids in groups}
    return {name: mean_known(values_K[ids])[0] for name, ids in chosen.items()}


def by_class_name(prefix: str, values_K: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """The value of each class under "prefix/name"; empty without names.

    Raises:
        ValueError: If there is not one name for each class.
    """
    if classes and len(classes) != len(values_K):
        raise ValueError(f"classes must name the {len(values_K)} classes, got {len(classes)} names")
    values = values_K.tolist() if classes else ()
    return {f"{prefix}/{name}": value for name, value in zip(classes, values, strict=True)}
