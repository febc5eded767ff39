"""The form of a record's content: which keys, lists and numbers it must have.

A form is a type (``int``, ``float``, ``str``, ``bool``), ``[form]`` for a list of any length,
``{str: form}`` for a mapping with any names, :class:`Fields` for named values, :class:`Maybe`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError
from equiseg.foreign_text import short

_LARGEST = 1 << 63  # numpy counts in 64 bits
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


@dataclass(frozen=True)
class Maybe:
    """A value of a form, or null."""

    form: Any


@dataclass(frozen=True)
class Fields:
    """A mapping with named values.

    Attributes:
        needed: The form of each value that must be there.
        optional: The form of each value that may be there.
        others: Of all other values; None leaves them unchecked.
    """

    needed: Mapping[str, Any]
    optional: Mapping[str, Any] = field(default_factory=dict)
    others: Any = None


def check_form(path: Path, again: str, values: Any, form: Any) -> None:
    """Compare a record with its form.

    Args:
        path: The file, for the message.
        again: The command that writes such a record again, for the message.
        values: The content.
        form: As this module describes.

    Raises:
        FileError: With the place, the value there and the allowed values.
    """
    for place, seen, wanted in _differences("", values, form):
        raise FileError(
            f"{path}: damaged or changed: {place or 'the record'} must be {wanted}, got "
            f"{short(seen)}; write it again with {again}"
        )


def check_classes(path: Path, again: str, num_classes: int, **lists: Sequence[Any]) -> None:
    """Compare the lengths of lists of one value a class with the number of classes.

    Raises:
        FileError: If one has another length.
    """
    for name, values in lists.items():
        if len(values) != num_classes:
            raise FileError(
                f"{path}: damaged or changed: {name} must have one value for each of "
                f"{num_classes} classes, got {len(values)}; write it again with {again}"
            )


def check_groups(path: Path, again: str, num_classes: int, groups: Mapping[str, Any]) -> None:
    """Check the class ids of head, common and tail.

    Raises:
        FileError: If a group is missing or unknown, or an id is not one of K or repeated.
    """
    ids = [class_id for known in groups.values() for class_id in known]
    if set(groups) != {"head", "common", "tail"}:
        reason = f"groups must be head, common and tail, got {short([*groups])}"
    elif len(set(ids)) < len(ids) or any(not 0 <= k < num_classes for k in ids):
        reason = f"groups must hold ids of {num_classes} classes, each once, got {short(ids)}"
    else:
        return
    raise FileError(f"{path}: damaged or changed: {reason}; write it again with {again}")


@contextmanager
def named_damage(path: Path, again: str) -> Iterator[None]:
    """Turn the errors of reading damaged values into one that names the file.

    Args:
        path: The file.
        again: The command that writes it again.

    Raises:
        FileError: Instead of the error that damaged values raise.
    """
    try:
        yield
    except FileError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise FileError(
            f"{path}: damaged or changed ({type(error).__name__}: {short(error)}); write it again "
            f"with {again}"
        ) from error


def _differences(place: str, values: Any, form: Any) -> Iterator[tuple[str, Any, str]]:
    """Differences of values from a form: place, value, allowed values."""
    if isinstance(form, Maybe):
        if values is not None:
            yield from _differences(place, values, form.form)
    elif isinstance(form, list):
        if not isinstance(values, list):
            yield place, values, "a list"
            return
        for number, value in enumerate(values):
            yield from _differences(f"{place}[{number}]", value, form[0])
    elif isinstance(form, (dict, Fields)):
        if not isinstance(values, dict):
            yield place, values, "a mapping"
        elif isinstance(form, Fields):
            yield from _fields(place, values, form)
        else:
            for name, value in values.items():
                yield from _differences(_joined(place, name), value, form[str])
    elif not _is_of(values, form):
        yield place, values, _WORDS[form]


def _fields(place: str, values: dict[str, Any], form: Fields) -> Iterator[tuple[str, Any, str]]:
    for name in form.needed:
        if name not in values:
            yield _joined(place, name), "nothing", "there"
    known = {**form.needed, **form.optional}
    for name, value in values.items():
        inner = known.get(name, form.others)
        if inner is not None:
            yield from _differences(_joined(place, name), value, inner)


def _joined(place: str, name: str) -> str:
    return f"{place}.{short(name, 40)}" if place else short(name, 40)


def _is_of(value: Any, form: type) -> bool:
    if form in (int, float):
        number = isinstance(value, int if form is int else (int, float))
        too_large = number and isinstance(value, int) and abs(value) >= _LARGEST
        return number and not isinstance(value, bool) and not too_large
    return isinstance(value, form)
