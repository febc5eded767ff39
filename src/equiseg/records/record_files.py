"""The envelope of every record: a kind and a version in its JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import short
from equiseg.whole_files import replace_text

MOST_BYTES = 256 << 20
"""Bytes of a record: 256 MiB, far more than the largest study."""
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
    replace_text(path, text)


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
        FileError: If it is not such a record, of an unknown version, or a key is missing.
    """
    text = read_text(path, MOST_BYTES)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: not a JSON file ({error}); write it again with {again}") from None
    if not isinstance(values, dict) or values.get("kind", kind) != kind:
        seen = values.get("kind") if isinstance(values, dict) else type(values).__name__
        raise FileError(f"{path}: must be the record of a {kind}, got {short(seen)!r}")
    version = values.get("version", 0)
    if type(version) is not int or version not in range(VERSION + 1):
        known = ", ".join(map(str, range(VERSION + 1)))
        raise FileError(
            f"{path}: the record has version {short(version)}, this equiseg reads the versions "
            f"{known}; install a newer equiseg, or write it again with {again}"
        )
    if missing := [key for key in needed if key not in values]:
        raise FileError(
            f"{path}: the record (version {version}) lacks {', '.join(missing)}; write it again "
            f"with {again}"
        )
    return {key: value for key, value in values.items() if key not in ("kind", "version")}
