"""Checks of files that equiseg did not write: kind, names, counts in headers and memory.

Libraries allocate memory for the counts in headers. Here each count is compared with the size of
the file first, and the memory that one file may take is limited.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection
from pathlib import Path

from equiseg.foreign_text import short

MOST_MEMORY = 1 << 30
"""Bytes that reading one file may take at once: 1 GiB, about half of the memory that torch, a
network and a worker leave free on a laptop of 8 GB. An RGB photo of 150 megapixels fits: 4 bytes a
pixel while it is decoded, then 3."""
MOST_TEXT = 16 << 20
"""Bytes of a text file written by a person (card, options, list of names): a million names."""

_SYSTEM_NAMES = (
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "$recycle.bin",
    "system volume information",
)
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


class FileError(ValueError):
    """A file cannot be used as it is; the message names it and the cure."""


def check_file(path: Path) -> int:
    """The size in bytes of a regular file; anything else would block or never end.

    Args:
        path: The file; links are followed.

    Raises:
        FileError: If it does not exist, may not be read, or is a pipe, socket, device or folder.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every file
    except (OSError, ValueError) as error:  # ValueError: the name has a null character
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path}: {reason}; check the path") from None
    for of_kind, words in _KINDS:
        if of_kind(found.st_mode):
            raise FileError(f"{path}: is {words}, not a file; give a regular file")
    return found.st_size


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False for paths that the system refuses."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_count(path: Path, what: str, count: int, least_bytes: float, room: int) -> None:
    """Compare a count in a header with the bytes that are there.

    Args:
        path: The file.
        what: Name of the counted things, such as "points".
        count: The count in the header.
        least_bytes: The fewest bytes that one of them takes in the file.
        room: The bytes of the file that can hold them.

    Raises:
        FileError: If the file is too small for the count.
    """
    if count < 0 or count * least_bytes > room:
        raise FileError(
            f"{path}: the header states {short(count)} {what}, but the file has room for "
            f"{int(max(room, 0) // least_bytes)}; the file is damaged or cut, get it again"
        )


def check_memory(path: Path, what: str, needed: float, most: int = MOST_MEMORY) -> None:
    """Limit the memory that one file may take.

    Args:
        path: The file.
        what: The content and its size, such as "an image of 90000x90000 pixels".
        needed: Bytes.
        most: Bytes that it may take.

    Raises:
        FileError: If it needs more.
    """
    if needed > most:
        raise FileError(
            f"{path}: {what} needs {needed / (1 << 30):.1f} GiB of memory, at most "
            f"{most / (1 << 30):.1f} GiB are allowed for one file; cut it into parts"
        )


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """A text file in UTF-8, with or without a byte-order mark.

    Raises:
        FileError: If it is not a regular file, too large, or not UTF-8.
    """
    if (size := check_file(path)) > most:
        raise FileError(
            f"{path}: has {size >> 20} MiB, a text of at most {most >> 20} MiB is expected; is it "
            "the right file?"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: not UTF-8 at byte {error.start} ({error.object[error.start]:#04x}); save it "
            "as UTF-8 (iconv -f latin1 -t utf-8)"
        ) from None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}; check its permissions") from None


def is_hidden(path: Path | os.DirEntry[str]) -> bool:
    """Whether a name is one that systems and editors make: ``._a.png``, ``.ipynb_checkpoints``."""
    return path.name.startswith(".") or path.name.lower() in _SYSTEM_NAMES


def list_files(folder: Path, suffixes: Collection[str] = (), *, nested: bool = False) -> list[Path]:
    """The files of a folder in the order of their names, without hidden files.

    Args:
        folder: The folder.
        suffixes: Suffixes in lower case; none takes all files.
        nested: Also those in folders below it; hidden folders are left out, and links to a folder
            that contains them.

    Raises:
        FileError: If the folder cannot be read.
    """
    found: list[Path] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}; check the path") from None
    for entry in entries:
        if is_hidden(entry):
            continue
        if entry.is_dir():
            if nested and not (
                entry.is_symlink() and folder.resolve().is_relative_to(entry.resolve())
            ):
                found += list_files(entry, suffixes, nested=True)
        elif not suffixes or entry.suffix.lower() in suffixes:
            found.append(entry)
    return found


def name_key(name: str) -> str:
    r"""A name as all file systems agree on it: macOS writes accents as two characters (NFD).

    Example:
        >>> name_key("cafe\u0301") == name_key("caf\u00e9")
        True
    """
    return unicodedata.normalize("NFC", name)
