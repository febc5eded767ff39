"""ClassLooks: how the classes of a data set are written into files and drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ClassLooks:
    """How classes are written and drawn.

    Attributes:
        values: The value of each class in a mask, or its code in a scan; of several the first.
        colors: The colour of each class as "#rrggbb"; None lets equiseg choose.
        background: Id of the class for "nothing named", which is not painted; None paints all.
    """

    values: tuple[int, ...]
    colors: tuple[str | None, ...]
    background: int | None = None

    @classmethod
    def plain(cls, num_classes: int, background: int | None = None) -> ClassLooks:
        """Looks of classes that are written as ids, in colours that equiseg chooses."""
        return cls(tuple(range(num_classes)), (None,) * num_classes, background)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], num_classes: int) -> ClassLooks:
        """The looks in the header of a weights file.

        Raises:
            ValueError: If an entry is missing or wrong.
        """
        codes: Any = values.get("values")
        colors: Any = values.get("colors")
        background = values.get("background")
        if not (_is_list(codes, num_classes) and all(type(code) is int for code in codes)):
            raise ValueError(f"looks.values must be {num_classes} whole numbers, got {codes!s:.80}")
        if not (_is_list(colors, num_classes) and all(c is None or is_color(c) for c in colors)):
            raise ValueError(f"looks.colors must be {num_classes} colours, got {colors!s:.80}")
        if background is not None and background not in range(num_classes):
            raise ValueError(f"looks.background must be the id of a class, got {background!s:.80}")
        return cls(tuple(codes), tuple(colors), background)


def is_color(value: object) -> bool:
    """Whether a value is a colour as "#1f77b4"."""
    return isinstance(value, str) and _COLOR.fullmatch(value) is not None


def color_problems(colors: object, names: Sequence[str]) -> list[str]:
    """Problems of the field ``colors`` of a card.

    Args:
        colors: The field.
        names: Names of the classes; empty if they are in a file, which is not read yet.
    """
    if not isinstance(colors, Mapping):
        return [f"colors must map names of classes to colours, got {colors!s:.80}"]
    problems = []
    for name, color in colors.items():
        if names and name not in names:
            problems.append(f"colors: {name!r:.80} is not one of the classes")
        if not is_color(color):
            problems.append(
                f'colors: {name!s:.80} must be a colour in quotes, as "#1f77b4", got {color!r:.80}'
            )
    return problems


def _is_list(value: object, length: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == length
