"""Splits that list names: read from text files, and compared with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from equiseg.data.errors import DataError
from equiseg.foreign_files import FileError, name_key, read_text
from equiseg.foreign_text import short

_SUFFIX = ".txt"
_SHOWN = 5


def with_lists(splits: object, root: Path) -> object:
    """Splits in which the name of a text file is replaced by the names in it, one a line.

    Args:
        splits: The field of a card; anything but a mapping is left for its checks.
        root: The folder that the names of the text files start from.

    Raises:
        DataError: If a text file cannot be read or has no names.
    """
    if not isinstance(splits, Mapping):
        return splits
    return {
        split: read_names(root / chosen)
        if isinstance(chosen, str) and chosen.lower().endswith(_SUFFIX)
        else chosen
        for split, chosen in splits.items()
    }


def read_names(file: Path) -> list[str]:
    """The names in a text file, one a line; blank lines are left out.

    Raises:
        DataError: If the file cannot be read or has no names.
    """
    try:
        lines = read_text(file).split("\n")
    except FileError as error:
        raise DataError(f"{error}; splits name a folder, a list or a text file of names") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError(f"{file}: lists no names; write one image or scan a line")
    return names


def repeated(names: Sequence[str]) -> list[str]:
    """Names that a list has more than once, in any Unicode form."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        key = name_key(name)
        if key in seen:
            twice[name] = None
        seen.add(key)
    return list(twice)


def check_splits(card: str, splits: Mapping[str, str | Sequence[str]]) -> None:
    """Refuse splits that are one folder, or that list the same names.

    Args:
        card: Name of the card, for messages.
        splits: For each split a folder or its list of names.

    Raises:
        DataError: If two splits share their folder or names.
    """
    for (one, first), (other, second) in combinations(splits.items(), 2):
        if isinstance(first, str) or isinstance(second, str):
            if first == second:
                raise DataError(
                    f"card {card}: splits {one} and {other} are the same folder "
                    f"{short(repr(first))}; give each its own folder, or a list of its names"
                )
            continue
        known = {name_key(name) for name in first}
        if both := [name for name in second if name_key(name) in known]:
            names = ", ".join(short(name) for name in both[:_SHOWN])
            raise DataError(
                f"card {card}: {len(both)} in the list of {other} also in {one}: {names}"
                f"{', ...' * (len(both) > _SHOWN)}; scores on data that were trained on are too "
                "good to be true: list each in one split only"
            )
