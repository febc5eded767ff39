"""Options by their older or shorter names; old configurations and command lines stay valid."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Dotted names, whole or the beginning of longer ones: "data.scenes.seed" begins with "data.scenes".
# A shorter name ends in the new word; the others are old words, and their readers are told so.
RENAMED = {
    "data.pictures": "data.synthetic.pictures",
    "data.scans": "data.synthetic.scans",
    "data.num_samples": "data.synthetic.num_samples",
    "data.scenes": "data.synthetic.pictures",
    "data.rooms": "data.synthetic.scans",
    "data.num_scenes": "data.synthetic.num_samples",
}


def new_name(option: str) -> str:
    """The present name of a dotted option; any other name stays as it is."""
    for old, new in RENAMED.items():
        if option == old or option.startswith(f"{old}."):
            return new + option.removeprefix(old)
    return option


def with_new_names(options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Nested options with their present names.

    Args:
        options: As a YAML file holds them, nested mappings or dotted keys.

    Returns:
        The options, and for each old word a note such as "data.scenes is now
        data.synthetic.pictures".
    """
    result: dict[str, Any] = {}
    notes: list[str] = []

    def walk(part: dict[str, Any], before: str) -> None:
        for key, value in part.items():
            name = f"{before}{key}"
            present = new_name(name)
            if present != name and present.rpartition(".")[2] != name.rpartition(".")[2]:
                notes.append(f"{name} is now {present}")
            if isinstance(value, dict) and _leads_to_renamed(name):
                walk(value, f"{name}.")
            else:
                _put(result, present.split("."), value)

    walk(options, "")
    return result, notes


def _leads_to_renamed(name: str) -> bool:
    return any(old.startswith(f"{name}.") for old in RENAMED)


def _put(nested: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value in nested mappings; two mappings of one place are joined."""
    *folders, last = path
    for folder in folders:
        nested = nested.setdefault(folder, {})
    if isinstance(value, dict) and isinstance(nested.get(last), dict):
        nested[last] |= value
    else:
        nested[last] = value


def tell_once(notes: Iterable[str], file: Path) -> None:
    """Log each note of a file; a study reads hundreds of files with the same ones."""
    for note in notes:
        _log(f"{file.name}: {note}")


@functools.cache
def _log(text: str) -> None:
    logging.getLogger(__name__).warning(text)
