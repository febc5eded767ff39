"""Patterns of file names: ``gtFine/{split}/{city}/{name}_gtFine_labelIds.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter

from equiseg.foreign_files import FileError, is_hidden, name_key

Values = tuple[str, ...]
_LONGEST = 1000  # characters of a pattern


def pattern_fields(pattern: str) -> list[str]:
    """The names in braces, each once, in their order.

    Raises:
        ValueError: If braces do not match, or hold anything but a name (as ``{name:>5}``).
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"a pattern has at most {_LONGEST} characters")
    fields: dict[str, None] = {}
    for _, field, spec, conversion in Formatter().parse(pattern):
        if field is None:
            continue
        if not field.isidentifier() or spec or conversion:
            raise ValueError(f"braces must hold a name, got {field!r:.80}")
        fields[field] = None
    return list(fields)


def find_files(
    root: Path, pattern: str, split: str, suffixes: Sequence[str]
) -> Iterator[tuple[Values, str]]:
    """Files that match a pattern, in the order of their paths, without hidden ones.

    Each field matches one name of a folder or file, or a part of one, as short as possible; the
    same field matches the same text everywhere.

    Args:
        root: The folder that the pattern starts from.
        pattern: Folders and a file name; of a name without a suffix, any of ``suffixes`` fits.
        split: The text that replaces ``{split}``.
        suffixes: Suffixes in lower case.

    Yields:
        The values of the other fields, in their order in the pattern, and the path of the file, a
        text: making a ``Path`` of each takes longer than all the rest. Values are in the Unicode
        form NFC, as macOS stores other forms than Linux.

    Raises:
        FileError: If a folder without a field in its name cannot be read.
    """
    fields = [field for field in pattern_fields(pattern) if field != "split"]
    parts = _parts(pattern, split)
    last = "".join(text for text, _ in parts[-1])
    any_suffix = not last.lower().endswith(tuple(suffixes))
    ends = "(?i:" + "|".join(map(re.escape, suffixes)) + ")" if any_suffix else ""
    for values, path in _matching(root, parts, ends, {}, certain=True):
        yield tuple(values[field] for field in fields), path


def first_folder(root: Path, pattern: str, split: str) -> Path:
    """The deepest folder of a pattern that has no field but ``{split}``."""
    for part in _parts(pattern, split)[:-1]:
        if any(field for _, field in part):
            break
        root = root / "".join(text for text, _ in part)
    return root


def _parts(pattern: str, split: str) -> list[list[tuple[str, str | None]]]:
    """For each folder and the file: pairs of a text and the field after it."""
    parts: list[list[tuple[str, str | None]]] = [[]]
    for text, field, _, _ in Formatter().parse(pattern):
        before, after = text, field
        if field == "split":
            before, after = text + split, None
        folders = before.split("/")
        for folder in folders[:-1]:
            parts[-1].append((folder, None))
            parts.append([])
        parts[-1].append((folders[-1], after))
    full = [part for part in parts if any(text or field for text, field in part)]
    if pattern.startswith("/"):  # as "/data/{name}.png"
        full.insert(0, [("/", None)])
    return full or [[("", None)]]


def _matching(
    folder: Path,
    parts: Sequence[Sequence[tuple[str, str | None]]],
    ends: str,
    known: Mapping[str, str],
    *,
    certain: bool,
) -> Iterator[tuple[Mapping[str, str], str]]:
    """Files below a folder that match the parts left of a pattern."""
    part, left = parts[0], parts[1:]
    if left and not any(field for _, field in part):
        name = "".join(text for text, _ in part)
        yield from _matching(folder / name, left, ends, known, certain=certain)
        return
    wanted = _expression(part, known, "" if left else ends)
    try:
        with os.scandir(folder) as found_entries:  # says what is a folder without asking for each
            entries = sorted(found_entries, key=lambda entry: entry.name)
    except OSError as error:
        if not certain:  # one of many folders that fit, without the rest of the pattern
            return
        raise FileError(f"{folder}: {error.strerror or error}; check the card") from None
    for entry in entries:
        found = None if is_hidden(entry) else wanted.fullmatch(name_key(entry.name))
        if found is None or _is_folder(entry) != bool(left):
            continue
        values = {**known, **found.groupdict()}
        if left:
            yield from _matching(Path(entry.path), left, ends, values, certain=False)
        else:
            yield values, entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _expression(
    part: Sequence[tuple[str, str | None]], known: Mapping[str, str], ends: str
) -> re.Pattern[str]:
    """The regular expression of one folder or file name."""
    said, expression = set(known), ""
    for text, field in part:
        expression += re.escape(name_key(text))
        if field is None:
            continue
        if field in known:
            expression += re.escape(known[field])
        else:
            expression += f"(?P={field})" if field in said else f"(?P<{field}>.+?)"
        said.add(field)
    return re.compile(expression + ends)
