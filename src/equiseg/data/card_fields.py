"""Checks of single fields of a data card; each yields a message per problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SHOWN = 5  # wrong values in a message


def length_problems(field_name: str, value: object, *, or_zero: bool = False) -> Iterator[str]:
    """A length in meters must be a finite number above 0; 0 is valid with ``or_zero``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 <= value < math.inf and (or_zero or value > 0)):  # type: ignore[operator]
        least = "" if or_zero else " above 0"
        yield f"{field_name} must be a length in meters{least}, got {value!r:.80}"


def group_problems(groups: object, classes: Any) -> Iterator[str]:
    """Groups must list every class exactly once under head, common and tail."""
    if (
        not isinstance(groups, Mapping)
        or set(groups) != {"head", "common", "tail"}
        or any(not_all(str, names) for names in groups.values())
    ):
        yield f"groups must be lists of names under head, common and tail, got {groups!r:.80}"
        return
    names = [name for group in groups.values() for name in group]
    known = classes.values() if isinstance(classes, Mapping) else classes
    if not isinstance(classes, str) and sorted(names) != sorted(set(known)):
        odd = sorted(set(names) ^ set(known)) or "repeated names"
        yield f"groups must hold every class exactly once, got {odd} in one list only"


def pattern_problems(field_name: str, pattern: object) -> Iterator[str]:
    """A pattern of files or folders may contain ``{split}`` and no other placeholder."""
    try:
        pattern.format(split="")  # type: ignore[attr-defined]
    except (AttributeError, LookupError, ValueError):
        yield f"{field_name} must be a folder name, with or without {{split}}, got {pattern!r}"


def split_problems(splits: object, kind: str) -> Iterator[str]:
    """Splits must map names to folders or to lists of image or scan names."""
    if not isinstance(splits, Mapping) or not splits:
        yield f"splits must map split names to folders or lists of {kind} names, got {splits!r}"
        return
    for split, chosen in splits.items():
        if not isinstance(chosen, str) and (wrong := not_all(str, chosen)):
            yield (
                f"splits: {split} must be a folder name or a list of {kind} names, got "
                f"{wrong}; put names that look like numbers in quotes"
            )


def not_all(kind: type, values: object) -> list[Any]:
    """The first entries that are not of this type; the whole value if it is no list."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return [values]
    return [v for v in values if not isinstance(v, kind) or isinstance(v, bool)][:SHOWN]
