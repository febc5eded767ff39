"""Head, common and tail: the classes in thirds by frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrequencyGroups:
    """Which classes are frequent, which are rare.

    Attributes:
        head: Ids of the most frequent classes, most frequent first.
        common: Ids of the classes between.
        tail: Ids of the rarest classes.
    """

    head: tuple[int, ...]
    common: tuple[int, ...]
    tail: tuple[int, ...]

    def __post_init__(self) -> None:
        ids = [*self.head, *self.common, *self.tail]
        twice = sorted({k for k in ids if ids.count(k) > 1})
        if twice:
            raise ValueError(f"groups must hold each class once, got {twice} more than once")
        if any(k < 0 for k in ids):
            raise ValueError(f"groups must hold class ids >= 0, got {min(ids)}")

    @classmethod
    def from_counts(cls, class_counts_K: Tensor | Sequence[int]) -> FrequencyGroups:
        """Thirds by frequency; the middle third takes what does not divide.

        Classes never counted have no frequency to rank: they join the tail after the split. Ties
        go by class id.

        Args:
            class_counts_K: (K,) counts of pixels, points or images of each class, in training.

        Raises:
            ValueError: If the counts are not one non-negative row.
        """
        counts = torch.as_tensor(class_counts_K)
        if counts.ndim != 1 or bool((counts < 0).any()):
            raise ValueError(
                f"class_counts must be one row of counts >= 0, got shape {tuple(counts.shape)}"
            )
        order = torch.argsort(counts, descending=True, stable=True).tolist()
        seen = [k for k in order if counts[k] > 0]
        unseen = [k for k in order if counts[k] == 0]
        third = round(len(seen) / 3)
        tail_start = len(seen) - third
        return cls(
            tuple(seen[:third]),
            tuple(seen[third:tail_start]),
            (*seen[tail_start:], *unseen),
        )

    @classmethod
    def from_mapping(cls, groups: Mapping[str, Sequence[int]]) -> FrequencyGroups:
        """Groups from a mapping with the keys head, common and tail.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        if set(groups) != {"head", "common", "tail"}:
            raise ValueError(f"groups must have the keys head, common, tail; got {sorted(groups)}")
        return cls(*(tuple(int(k) for k in groups[name]) for name in ("head", "common", "tail")))

    def __iter__(self):  # type: ignore[no-untyped-def]
        """The three names with their class ids."""
        return iter((("head", self.head), ("common", self.common), ("tail", self.tail)))
