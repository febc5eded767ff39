"""Zip archives (.npz, .ckpt) whose directory is whole.

Python's zipfile trusts the end record: if the size of the directory in it is wrong, members are
left out silently. Here, all numbers of the end record are compared with the directory.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

from equiseg.foreign_files import check_file

MOST_ENTRIES = 1 << 16
"""Members of an archive: a checkpoint has one for each tensor, at most some thousand."""
_MOST_DIRECTORY = 128 * MOST_ENTRIES  # bytes; zipfile makes 10 times as many of them

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_PLACE_64 = struct.Struct("<4sLQL")
_LONGEST_COMMENT = (1 << 16) - 1


class _Directory(NamedTuple):
    """The directory by an end record: number of members, bytes, and position in the file."""

    members: int
    size: int
    start: int


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive for reading; every member that was written is in it, under its name.

    Args:
        path: The file.

    Raises:
        FileError: If it is not a regular file.
        zipfile.BadZipFile: If it is not an archive, or its directory is damaged or too large. For
            damaged files, zipfile also raises exceptions that it does not document.
    """
    size = check_file(path)
    with path.open("rb") as file:
        stated = _stated_directory(file, size)
    if stated.members > MOST_ENTRIES or stated.size > _MOST_DIRECTORY:
        raise zipfile.BadZipFile(
            f"the archive states {stated.members} members in a directory of {stated.size} bytes, "
            f"at most {MOST_ENTRIES} in {_MOST_DIRECTORY} are allowed"
        )
    archive = zipfile.ZipFile(path)
    try:
        _check_members(archive, stated)
    except BaseException:
        archive.close()
        raise
    return archive


def _stated_directory(file: IO[bytes], size: int) -> _Directory:
    """The directory by the end record, which must follow it."""
    first = max(size - _END.size - _LONGEST_COMMENT, 0)
    file.seek(first)
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) < place + _END.size:
        raise zipfile.BadZipFile("there is no end of an archive, so it is cut or of another kind")
    _, _, _, here, *numbers, _ = _END.unpack_from(tail, place)
    stated, end = _Directory(*numbers), first + place
    if (large := _large_record(file, end)) is not None:
        end -= _PLACE_64.size + _END_64.size
        here, *numbers = large
        limits = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)  # "see the other record"
        for number, other, limit in zip(stated, numbers, limits, strict=True):
            if number not in (other, limit):
                raise zipfile.BadZipFile(f"its two end records state {number} and {other}")
        stated = _Directory(*numbers)
    if here != stated.members or stated.start + stated.size != end:
        raise zipfile.BadZipFile(
            f"its directory is stated to end at byte {stated.start + stated.size} with {here} of "
            f"{stated.members} members, its end record is at {end}"
        )
    return stated


def _large_record(file: IO[bytes], end: int) -> tuple[int, int, int, int] | None:
    """Entries here, entries, size and place by the record of large archives, if there is one."""
    start = end - _PLACE_64.size - _END_64.size
    if start < 0:
        return None
    file.seek(start)
    both = file.read(_END_64.size + _PLACE_64.size)
    signature, *_, here, count, size, place = _END_64.unpack_from(both)
    if both[_END_64.size :][:4] != b"PK\6\7":
        return None
    if signature != b"PK\6\6":
        raise zipfile.BadZipFile("its end records do not fit")
    return here, count, size, place


def _check_members(archive: zipfile.ZipFile, stated: _Directory) -> None:
    """The members that were found must be those stated, each under the name in front of it."""
    members = archive.infolist()
    if archive.start_dir != stated.start or len(members) != stated.members:
        raise zipfile.BadZipFile(
            f"{stated.members} members are stated, its directory has {len(members)}"
        )
    if len({member.filename for member in members}) < len(members):
        raise zipfile.BadZipFile("two members have one name")
    for member in members:
        archive.open(member).close()  # compares the names in directory and file
