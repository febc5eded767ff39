"""The envelope of every record: a kind and a version in its JSON, and files replaced whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any

VERSION = 1
"""The version that is written. A record without one is version 0, written before there were any."""


def write_record(path: Path, kind: str, values: Mapping[str, Any]) -> None:
    """Write a record as JSON; a file that exists is complete.

    Args:
        path: The file; its folder is made where it does not exist.
        kind: What the record is of, as "comparison".
        values: Its content. NaN is written as Python writes it; take
            :func:`equiseg.records.json_values.without_nan` where others read it.
    """
    text = json.dumps({"kind": kind, "version": VERSION, **values}, indent=1)
    replace_file(path, lambda file: file.write(text.encode()))


def read_record(path: Path, kind: str, needed: Collection[str], again: str) -> dict[str, Any]:
    """Read a record after a check of its kind, its version and its keys.

    Args:
        path: The JSON file.
        kind: What the record must be of; a record without a kind is version 0.
        needed: Keys that it must have.
        again: The command that writes such a record anew, for the message.

    Returns:
        The content, without kind and version.

    Raises:
        ValueError: If it is no such record, of a version that is not known, or a key is missing.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path}: not a JSON file ({error}); write it again with {again}"
        ) from None
    if not isinstance(values, dict) or values.get("kind", kind) != kind:
        seen = values.get("kind") if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"{path}: must be the record of a {kind}, got {str(seen)[:80]!r}")
    version = values.get("version", 0)
    if version not in range(VERSION + 1):
        known = ", ".join(map(str, range(VERSION + 1)))
        raise ValueError(
            f"{path}: the record has version {str(version)[:80]}, this equiseg reads the versions "
            f"{known}; install a newer equiseg, or write it again with {again}"
        )
    if missing := [key for key in needed if key not in values]:
        raise ValueError(
            f"{path}: the record (version {version}) lacks {', '.join(missing)}; write it again "
            f"with {again}"
        )
    return {key: value for key, value in values.items() if key not in ("kind", "version")}


def replace_file(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file next to its place, flush it, and put it there in one step.

    Args:
        path: The file; its folder is made where it does not exist.
        write: Writes the content to an open file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
