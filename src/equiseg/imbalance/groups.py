"""Head, common and tail: the classes in thirds by frequency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrequencyGroups:
    """Class ids by frequency: head, common and tail.

    Attributes:
        head: Ids of the most frequent classes, most frequent first.
        common: Ids of the classes in between.
        tail: Ids of the rarest classes.
    """

    head: tuple[int, ...]
    common: tuple[int, ...]
    tail: tuple[int, ...]

    def __post_init__(self) -> None:
        ids = [*self.head, *self.common, *self.tail]
        twice = sorted({k for k in ids if ids.count(k) > 1})
        if twice:
            raise ValueError(
                f"groups must hold each class once, got {twice} more than once; keep each in one "
                "of head, common and tail"
            )
        if any(k < 0 for k in ids):
            raise ValueError(f"groups must hold class ids >= 0, got {min(ids)}; remove it")

    @classmethod
    def of(cls, groups: AnyGroups | None, num_classes: int) -> FrequencyGroups | None:
        """Convert groups from any accepted form; None stays None.

        Args:
            groups: Groups, an argument of :meth:`from_mapping` or :meth:`from_counts`, or None.
            num_classes: Number of classes K.

        Raises:
            ValueError: If a class id is K or more, or one of the three names is missing.
        """
        if groups is None:
            return None
        if isinstance(groups, Mapping):
            groups = cls.from_mapping(groups)
        elif not isinstance(groups, FrequencyGroups):
            counts = torch.as_tensor(groups)
            if counts.shape != (num_classes,):
                raise ValueError(
                    f"groups as class counts must have shape ({num_classes},), got "
                    f"{tuple(counts.shape)}; groups by class id are a mapping with the keys head, "
                    "common and tail"
                )
            groups = cls.from_counts(counts)
        beyond = [k for _, ids in groups for k in ids if k >= num_classes]
        if beyond:
            raise ValueError(
                f"groups must hold class ids 0..{num_classes - 1}, got {beyond}; remove them or "
                "raise num_classes"
            )
        return groups

    @classmethod
    def from_counts(cls, class_counts_K: Tensor | Sequence[int]) -> FrequencyGroups:
        """Thirds by frequency: K/3 classes (rounded) in head and in tail, the others in common.

        Classes with a count of zero are added to the tail after the split. Ties are ordered by
        class id.

        Args:
            class_counts_K: (K,) counts of pixels, points or images of each class, in training.

        Raises:
            ValueError: If the counts are not one non-negative row.

        Examples:
            >>> from equiseg import FrequencyGroups
            >>> FrequencyGroups.from_counts([900, 5, 40])
            FrequencyGroups(head=(0,), common=(2,), tail=(1,))
        """
        counts = torch.as_tensor(class_counts_K)
        if counts.ndim != 1 or bool((counts < 0).any()):
            raise ValueError(
                f"class_counts must be one row of counts >= 0, got shape {tuple(counts.shape)} "
                f"and least value {counts.min().item() if counts.numel() else None}; pass the "
                "counts of the training labels"
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
            raise ValueError(
                f"groups must have the keys head, common and tail, got {list(groups)}; a group "
                "may be empty"
            )
        return cls(*(tuple(int(k) for k in groups[name]) for name in ("head", "common", "tail")))

    def __iter__(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The three names with their class ids."""
        return iter((("head", self.head), ("common", self.common), ("tail", self.tail)))


AnyGroups: TypeAlias = FrequencyGroups | Mapping[str, Sequence[int]] | Tensor | Sequence[int]
"""Groups in any form that :meth:`FrequencyGroups.of` takes."""
