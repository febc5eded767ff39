"""Means of scores over classes; NaN, of classes with nothing to score, is left out."""

from __future__ import annotations

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
