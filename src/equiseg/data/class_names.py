"""Names of classes in a card or in a text file: reading and checking them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from equiseg.data.card_fields import (
    MOST_INTEGER,
    SHOWN,
    name_problems,
    not_all,
    shown,
    text_problems,
)
from equiseg.data.errors import DataError
from equiseg.data.split_lists import repeated
from equiseg.foreign_files import FileError, name_key, read_text

_IN_FILE = "classes must be a list, a mapping, or a text file under the data folder"


def class_problems(classes: object) -> Iterator[str]:
    """Classes must be the name of a text file, a list of names, or names by value."""
    if isinstance(classes, str):
        yield from text_problems("classes", classes)
        return
    if isinstance(classes, Mapping):
        if wrong := not_all(int, list(classes)):
            yield f"classes must have whole numbers for values, got {shown(wrong)}"
        elif wrong := [value for value in classes if abs(value) > MOST_INTEGER]:
            yield f"classes must have values of at most 31 bits, got {shown(wrong[:SHOWN])}"
    yield from name_problems(
        "classes", list(classes.values()) if isinstance(classes, Mapping) else classes
    )


def known_names(classes: object) -> list[str]:
    """The names in a field; none if they are in a text file, or the field is wrong."""
    names = list(classes.values()) if isinstance(classes, Mapping) else classes
    return [] if not_all(str, names) else list(names)  # type: ignore[call-overload]


def names_by_value(title: str, classes: object, folder: Path) -> dict[int, str]:
    """The name of the class of each value.

    Args:
        title: Title of the data, for messages.
        classes: The field of a card, which is valid.
        folder: Where the text file is, if the field names one.

    Raises:
        DataError: If the text file cannot be used, a list repeats names, or two names differ in
            their Unicode form only.
    """
    names = (
        _read_names(title, folder / classes) if isinstance(classes, str) else known_names(classes)
    )
    forms = {name_key(name): name for name in names}
    if odd := [name for name in names if forms[name_key(name)] != name]:
        raise DataError(
            f"{title}: classes {shown(odd[:SHOWN])} are written in two Unicode forms, which look "
            "the same; write each in one form"
        )
    if isinstance(classes, Mapping):
        return dict(classes)
    if twice := repeated(names):
        raise DataError(
            f"{title}: a list of classes must not repeat names, got {shown(twice)} more than once; "
            "to merge values into one class, write classes as a mapping"
        )
    return dict(enumerate(names))


def _read_names(title: str, file: Path) -> list[str]:
    """The names in a text file, one a line; blank lines may only be last."""
    try:
        names = [line.strip() for line in read_text(file).rstrip().split("\n")]
    except FileError as error:
        raise DataError(f"{title}: classes: {error}; {_IN_FILE} with one name a line") from error
    if "" in names:
        raise DataError(
            f"{file}: line {names.index('') + 1} is blank, so it is unclear which value the next "
            "class has; a line names the class of the value 0, 1, ...: remove the blank line, or "
            "write classes as a mapping from value to name"
        )
    for line, name in enumerate(names, 1):
        if problems := [*name_problems("a class", [name])]:
            raise DataError(f"{file}: line {line}: {problems[0]}")
    return names
