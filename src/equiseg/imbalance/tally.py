"""Counts over a data set that can be added, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from equiseg.whole_files import replace_text

Self = TypeVar("Self", bound="Tally")


@dataclass(eq=False)
class Tally:
    """Base of :class:`ClassStatistics` and :class:`ContextStatistics`: addable, saveable counts.

    A subclass is a dataclass whose fields are int64 tensors over the classes, named by their shape
    (``pixels_K``, ``adjacency_KK``), and ``num_images``.
    """

    def __post_init__(self) -> None:
        sizes = {size for counts in self._tensors().values() for size in counts.shape}
        dims = {name: counts.ndim for name, counts in self._tensors().items()}
        if len(sizes) != 1 or any(dims[name] != _dims(name) for name in dims):
            shapes = {name: tuple(counts.shape) for name, counts in self._tensors().items()}
            raise ValueError(
                f"{type(self).__name__} must hold one count per class in every dimension, got "
                f"shapes {shapes}; take all counts from the same classes"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(next(iter(self._tensors().values())))

    @classmethod
    def zeros(cls: type[Self], num_classes: int) -> Self:
        """Counts of no image."""
        return cls.from_dict(
            {
                field.name: torch.zeros((num_classes,) * _dims(field.name), dtype=torch.int64)
                if _dims(field.name)
                else 0
                for field in fields(cls)
            }
        )

    def __add__(self: Self, other: Self) -> Self:
        """Counts of both parts of a data set together.

        Raises:
            ValueError: If the parts have different classes.
        """
        if not isinstance(other, type(self)):
            return NotImplemented
        if self.num_classes != other.num_classes:
            raise ValueError(
                f"counts to add must be of the same classes, got {self.num_classes} and "
                f"{other.num_classes} classes; count both parts with the same num_classes"
            )
        return type(self)(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    def to_dict(self) -> dict[str, Any]:
        """Fields as lists and integers, ready for JSON; :meth:`from_dict` reads them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v.tolist() if isinstance(v, Tensor) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls: type[Self], values: Mapping[str, Any]) -> Self:
        """Counts from the fields that :meth:`to_dict` returns; other keys are ignored.

        Raises:
            ValueError: If a field is missing or the shapes disagree.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise ValueError(
                f"{cls.__name__} needs the fields {names}, got none for {missing}; save it again"
            )
        try:
            return cls(
                *(
                    torch.as_tensor(values[name], dtype=torch.int64)
                    if _dims(name)
                    else int(values[name])
                    for name in names
                )
            )
        except (RuntimeError, OverflowError) as error:  # raised by torch for numbers beyond int64
            raise ValueError(f"{cls.__name__} needs counts below 2^63: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the counts as JSON."""
        replace_text(Path(path), json.dumps(self.to_dict()) + "\n")

    @classmethod
    def load(cls: type[Self], path: str | Path) -> Self:
        """Counts from a file that :meth:`save` wrote.

        Raises:
            ValueError: If the file does not hold such counts; the message names the file.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read as {cls.__name__}: {error}") from error

    def _tensors(self) -> dict[str, Tensor]:
        return {
            field.name: getattr(self, field.name) for field in fields(self) if _dims(field.name)
        }


def _dims(name: str) -> int:
    """Number of dimensions of a field: 1 for pixels_K, 2 for adjacency_KK, 0 for num_images."""
    return len(name) - len(name.rstrip("K"))
