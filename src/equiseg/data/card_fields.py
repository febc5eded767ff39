"""Checks of single fields of a data card; each yields a message per problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from equiseg.data.name_patterns import pattern_fields
from equiseg.data.split_lists import repeated
from equiseg.foreign_text import has_control, short

SHOWN = 5  # wrong values in a message
MOST_INTEGER = (1 << 31) - 1  # of a label or code
_NO_CONTROL = "no line breaks and control characters"
_SPACES = str.maketrans("", "", "\n\r\t")


def shown(value: object) -> str:
    """A value for a message, as Python writes it, at most 80 characters."""
    return short(repr(value))


def length_problems(field_name: str, value: object, *, or_zero: bool = False) -> Iterator[str]:
    """A length in meters must be a finite number above 0; 0 is valid with ``or_zero``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 <= value < math.inf and (or_zero or value > 0)):  # type: ignore[operator]
        least = "" if or_zero else " above 0"
        yield f"{field_name} must be a length in meters{least}, got {shown(value)}"


def text_problems(
    field_name: str, value: object, *, optional: bool = False, lines: bool = False
) -> Iterator[str]:
    """A field must be a text, of one line unless ``lines``; None is valid with ``optional``."""
    if not isinstance(value, str):
        if not (optional and value is None):
            yield f"{field_name} must be a text, got {shown(value)}; put it in quotes"
    elif has_control(value.translate(_SPACES) if lines else value):
        yield f"{field_name} must have {_NO_CONTROL}, got {shown(value)}"


def name_problems(field_name: str, names: object) -> Iterator[str]:
    """Names must be texts of one line, none blank."""
    if wrong := not_all(str, names):
        yield (
            f"{field_name} must be names, got {shown(wrong)}; put names such as null, no or 1 in "
            "quotes"
        )
        return
    if any(not name.strip() for name in names):  # type: ignore[attr-defined]
        yield f"{field_name} must have names, got a blank one"
    if wrong := [name for name in names if has_control(name)]:  # type: ignore[attr-defined]
        yield f"{field_name} must have names with {_NO_CONTROL}, got {shown(wrong[:SHOWN])}"


def ignored_problems(index: object, values: object) -> Iterator[str]:
    """The fields ``ignore_index`` and ``ignore_values`` must be whole numbers of 31 bits."""
    if wrong := not_all(int, values):
        yield f"ignore_values must have whole numbers for values, got {shown(wrong)}"
    elif wrong := [v for v in values if abs(v) > MOST_INTEGER]:  # type: ignore[attr-defined]
        yield f"ignore_values must have values of at most 31 bits, got {shown(wrong[:SHOWN])}"
    if not_all(int, [index]) or not 0 <= index <= MOST_INTEGER:  # type: ignore[operator]
        yield (
            f"ignore_index must be an integer >= 0 of at most 31 bits (255 is usual), got "
            f"{shown(index)}"
        )


def group_problems(groups: object, classes: Any, ignored: Any) -> Iterator[str]:
    """Groups must list every class that is not ignored once under head, common and tail."""
    if (
        not isinstance(groups, Mapping)
        or set(groups) != {"head", "common", "tail"}
        or any(not_all(str, names) for names in groups.values())
    ):
        yield f"groups must be lists of names under head, common and tail, got {shown(groups)}"
        return
    names = [name for group in groups.values() for name in group]
    known = classes.values() if isinstance(classes, Mapping) else classes
    if isinstance(classes, str) or not_all(str, list(known)) or not_all(str, ignored):
        return  # reported already, or the names are in a file
    wanted = set(known) - set(ignored)
    if sorted(names) != sorted(wanted):
        odd = sorted(set(names) ^ wanted) or "repeated names"
        yield f"groups must hold every class exactly once, got {shown(odd)} in one list only"


def pattern_problems(
    field_name: str, pattern: object, what: str = "folder name, with or without {split}"
) -> Iterator[str]:
    """A pattern of files or folders may contain ``{split}`` and no other placeholder."""
    try:
        fits = isinstance(pattern, str) and set(pattern_fields(pattern)) <= {"split"}
    except ValueError:
        fits = False
    if not fits:
        yield f"{field_name} must be a {what}, got {shown(pattern)}"


def file_pattern_problems(image: object, annotation: object) -> Iterator[str]:
    """Patterns of images and masks must have the same fields in braces, one of them ``{name}``."""
    fields = []
    for field_name, pattern in (("image", image), ("annotation", annotation)):
        try:
            if not isinstance(pattern, str):
                raise ValueError("it is not a text")  # noqa: TRY004 - reported with the others
            found = pattern_fields(pattern)
            if "name" not in found:
                raise ValueError("it has no {name}")
            if "}{" in pattern.replace("}}", ""):
                raise ValueError("two fields need a text or a / between them")
        except ValueError as error:
            yield (
                f"{field_name} must be a pattern such as '{{split}}/{{name}}.png', got "
                f"{shown(pattern)}: {error}"
            )
        else:
            fields.append(set(found) - {"split"})
    if len(fields) == 2 and fields[0] != fields[1]:
        only = sorted(fields[0] ^ fields[1])
        yield (
            "image and annotation must have the same names in braces (a pair has the same texts "
            f"there), got {shown(only)} in one only"
        )


def split_problems(splits: object, kind: str) -> Iterator[str]:
    """Splits must map names to folders or to lists of image or scan names, each name once."""
    if not isinstance(splits, Mapping) or not splits:
        yield (
            f"splits must map split names to folders or lists of {kind} names, got {shown(splits)}"
        )
        return
    yield from name_problems("splits", list(splits))
    for split, chosen in splits.items():
        if isinstance(chosen, str):
            continue
        if wrong := not_all(str, chosen):
            yield (
                f"splits: {short(split)} must be a folder name or a list of {kind} names, got "
                f"{shown(wrong)}; put names that look like numbers in quotes"
            )
        elif twice := repeated(chosen):
            yield (
                f"splits: {short(split)} lists {len(twice)} name(s) more than once: "
                f"{shown(twice[:SHOWN])}; list each once"
            )


def unused_split_problems(splits: object, patterns: Sequence[object]) -> Iterator[str]:
    """A pattern must use the text of a split; otherwise several splits have the same files."""
    if not isinstance(splits, Mapping) or len(splits) < 2:
        return
    unused = {split: text for split, text in splits.items() if isinstance(text, str)}
    if unused and not any("{" in str(text) for text in patterns):
        yield (
            f"splits: {shown(unused)} would have no effect, as no pattern has {{split}}: write "
            "{split} where the folders of the splits differ, or give each split the list of its "
            "names or a text file of them (.txt)"
        )


def not_all(kind: type, values: object) -> list[Any]:
    """The first entries that are not of this type; the whole value if it is no list."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        return [values]
    return [v for v in values if not isinstance(v, kind) or isinstance(v, bool)][:SHOWN]
