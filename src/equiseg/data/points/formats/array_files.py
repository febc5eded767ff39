"""The arrays in an .npz or in a folder of .npy files; their headers are checked first."""

from __future__ import annotations

import errno
import io
import math
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from equiseg.data.errors import DataError, as_data_errors
from equiseg.foreign_files import FileError, check_file, check_memory, is_hidden, list_files
from equiseg.foreign_text import short
from equiseg.whole_files import replaced
from equiseg.zip_files import open_zip

CURE = "; save it again, or leave it out of the split"
_LONGEST_HEADER = 1 << 16  # bytes of the header of one array; numpy writes about 120


def array_names(file: Path) -> dict[str, str]:
    """Stored names of the arrays, by name in lower case; hidden files are left out.

    Raises:
        DataError: If it is neither an .npz nor a folder, cannot be read, or two names differ in
            case only.
    """
    with as_data_errors():
        if file.is_dir():
            names = [path.stem for path in list_files(file, (".npy",))]
        elif file.suffix.lower() != ".npz":
            raise DataError(f"{file}: arrays must be an .npz or a folder of .npy files{CURE}")
        else:
            with _broken(f"{file}: is not a readable .npz"), open_zip(file) as archive:
                names = [name[:-4] for name in map(_name, archive.infolist()) if name]
    by_key: dict[str, str] = {}
    for name in names:
        if (other := by_key.get(name.lower())) is not None:
            raise DataError(f"{file}: has two arrays named {other!r:.80} and {name!r:.80}{CURE}")
        by_key[name.lower()] = name
    return by_key


def load_arrays(file: Path, places: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Some of the arrays: of an .npz in memory, of .npy files mapped from disk.

    Args:
        file: An .npz, or a folder of .npy files. Pickled objects are never loaded.
        places: The stored name of each array, by the name under which it is returned.

    Raises:
        DataError: If an array cannot be read, does not have the size that its header states, holds
            no numbers, or all together would take too much memory.
    """
    with as_data_errors():
        if file.is_dir():
            return {role: _mapped(file, name) for role, name in places.items()}
        with _broken(f"{file}: is not a readable .npz"), open_zip(file) as archive:
            infos = {role: archive.getinfo(f"{name}.npy") for role, name in places.items()}
            needed = sum(info.file_size for info in infos.values())
            check_memory(file, f"arrays of {needed} bytes", needed)
            return {
                role: _member(archive, info, file, places[role]) for role, info in infos.items()
            }


def copy_npz(source: Path, target: Path, name: str, array: np.ndarray) -> None:
    """Copy an .npz byte by byte, except for one array, which is replaced or added.

    Raises:
        DataError: If the source cannot be read, or would take too much memory to load.
    """
    with (
        as_data_errors(),
        replaced(target, durable=False) as unfinished,
        zipfile.ZipFile(unfinished, "w") as new,
        _broken(f"{source}: cannot be copied"),
        open_zip(source) as old,
    ):
        size = sum(info.file_size for info in old.infolist())
        check_memory(source, f"arrays of {size} bytes", size)
        for info in old.infolist():
            if info.filename == f"{name}.npy":
                continue
            copy = zipfile.ZipInfo(info.filename, info.date_time)
            copy.compress_type = info.compress_type
            with old.open(info) as read, new.open(copy, "w", force_zip64=True) as written:
                shutil.copyfileobj(read, written)
        added = zipfile.ZipInfo(f"{name}.npy")
        added.compress_type = zipfile.ZIP_DEFLATED
        with new.open(added, "w", force_zip64=True) as written:
            np.lib.format.write_array(written, array, allow_pickle=False)


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member that is an array, else empty."""
    path = Path(info.filename)
    hidden = any(is_hidden(Path(part)) for part in path.parts)
    return info.filename if info.filename.endswith(".npy") and not hidden else ""


def _mapped(folder: Path, name: str) -> np.ndarray:
    file = folder / f"{name}.npy"
    size = check_file(file)
    with _broken(f"{file}: array {name!r:.80} cannot be read"):
        with file.open("rb") as stream:
            empty = _check_header(stream, size, file, name) == 0
        # An empty file cannot be mapped.
        array: np.ndarray = np.load(file, mmap_mode=None if empty else "r", allow_pickle=False)
        return array


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path, name: str) -> np.ndarray:
    with _broken(f"{file}: array {name!r:.80} cannot be read"):
        with archive.open(info) as stream:
            _check_header(stream, info.file_size, file, name)
        with archive.open(info) as stream:
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read()  # zipfile compares the checksum at the end
        return array


def _check_header(stream: IO[bytes], size: int, file: Path, name: str) -> int:
    """The bytes of an array by its type and shape, compared with the bytes in the file."""
    head = io.BytesIO(stream.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(head)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version}")
    shape, _, dtype = read[version](head)
    if dtype.hasobject:
        raise ValueError("it holds Python objects (pickle), which may run code")
    if dtype.kind not in "fiub" or not shape:
        raise DataError(
            f"{file}: array {name!r:.80} must hold numbers, one row per point, got "
            f"{short(dtype)} of shape {short(shape)}{CURE}"
        )
    stated, there = math.prod(shape) * dtype.itemsize, size - head.tell()
    if min(shape) < 0 or stated != there:
        raise DataError(
            f"{file}: array {name!r:.80} of shape {short(shape)} takes {short(stated)} bytes, the "
            f"file has {there}; it is cut or damaged{CURE}"
        )
    return stated


@contextmanager
def _broken(words: str) -> Iterator[None]:
    """Whatever numpy and zipfile raise for a broken file becomes a DataError."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # a full disk is not a fault of the file
        raise DataError(f"{words} ({short(error) or type(error).__name__}){CURE}") from error
