"""Every error of a command, in one place: a line with the file and the next step, or an apology.

Which is whose? An error that equiseg raises on purpose (``FileError``, ``OptionError``, any
``ValueError``, ``OSError``, ``ImportError`` or ``RuntimeError``) is about what the user gave: one
line. So is an error that a library raises for a foreign file: its type is in :data:`_OF_FILES`, or
it was raised while a reader had that file in hand. All others are mistakes of equiseg: they get an
apology. Whenever equiseg did not write the message itself, the traceback is saved, so that a
mistake of ours that appears as a ``ValueError`` of a library is not lost either.
"""

from __future__ import annotations

import dis
import errno
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import FrameType

from equiseg.foreign_files import FileError
from equiseg.foreign_text import printable, short

_ON_PURPOSE = (ValueError, OSError, ImportError, RuntimeError)
# Named, not imported: the door loads no library that the command did not load.
_OF_FILES = (
    "EOFError",
    "BadZipFile",
    "LargeZipFile",
    "DecompressionBombError",
    "LZMAError",
    "UnpicklingError",
    "SafetensorError",
    "TokenError",
    "YAMLError",
    "LaspyException",
    "LazrsError",
    "RecursionError",
    "struct.error",
    "zlib.error",
    "_csv.Error",
)
# Packages that read files from outside; an error of a library in them is about a file.
_READERS = ("equiseg.data.", "equiseg.runs.", "equiseg.records.", "equiseg.evaluation.")
_OF_CONTENT = (LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError)
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
_MEMORY_CURE = (
    "give smaller images (--data.size), windows (--evaluation.window), a smaller --batch_size or "
    "fewer --num_workers"
)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_CURES = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose another folder",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit (ulimit -n) or give fewer --num_workers",
    errno.EIO: "check the disk",
}
_LAST_OF_TRACEBACK = re.compile(r"^[A-Za-z_][\w.]*: ")
_LONGEST_LINE, _MOST_LINES = 1000, 60


def error_text(error: BaseException, line: str, resume: str = "") -> str:
    """The message for the user: without a traceback or control characters, and of limited length.

    Nothing raises here: an error in telling an error would hide the first.

    Args:
        error: The error that ended the command.
        line: The command, as it was typed.
        resume: "; repeat the same command to resume", if the command does so.
    """
    try:
        return _text(error, line, resume)
    except Exception as second:
        kinds = f"{type(error).__name__}, and {type(second).__name__} while it was reported"
        where = "; ".join(
            f"{step.filename}:{step.lineno}"
            for step in traceback.extract_tb(error.__traceback__)[-3:]
        )
        return f"sorry, this is a mistake of equiseg ({kinds}; at {where}); please report it"


def _text(error: BaseException, line: str, resume: str) -> str:
    said, ours = _told(error)
    if getattr(error, "errno", None) in _NO_SPACE:
        said += f"; free space, then {resume.removeprefix('; ') or 'repeat the same command'}"
    text = _cut(said)
    if ours:
        return text
    saved = _saved(getattr(error, "unforeseen", None) or error, line)
    if said:
        return f"{text} (details: {saved})"
    return (
        f"sorry, this is a mistake of equiseg ({type(error).__name__}: {printable(short(error))})\n"
        f"the traceback and the versions are in {saved}\n"
        "please report it: send that file, and the smallest data with which it happens"
    )


def _told(error: BaseException) -> tuple[str, bool]:
    """The message, empty for a mistake of equiseg; and whether equiseg wrote it."""
    file = _file_in_hand(error)
    if isinstance(error, FileError):
        return _of_worker(str(error)), getattr(error, "unforeseen", None) is None
    if _is_of_memory(error):
        at = f"{file}: " if file else ""
        return f"{at}not enough memory; {_MEMORY_CURE}", False
    if isinstance(error, OSError):
        return _of_system(error, file), True
    if isinstance(error, _ON_PURPOSE) and not _is_of_file(error):
        return _in_words(error), _raised_by_equiseg(error)
    if _is_of_file(error) or (file and isinstance(error, _OF_CONTENT) and _in_reader(error)):
        of = f"{file}: " if file else ""
        return f"{of}cannot be read ({_in_words(error)}); is it complete and of this kind?", False
    return "", False


def _of_worker(text: str) -> str:
    """The message of an error in a data worker, without the traceback that torch puts before it."""
    if "\nOriginal Traceback (most recent call last):\n" not in text:
        return text
    lines = text.splitlines()
    ends = [n for n, line in enumerate(lines) if _LAST_OF_TRACEBACK.match(line)]
    return _LAST_OF_TRACEBACK.sub("", "\n".join(lines[ends[-1] :])) if ends else lines[0]


def _of_system(error: OSError, file: Path | None) -> str:
    """An error of the system, with its file: the errors of some libraries name none."""
    if error.errno is None:
        return str(error) if error.args else f"{file or 'a file'}: {type(error).__name__}"
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    at = " and ".join(names) or (str(file) if file else "")
    words = error.strerror or os.strerror(error.errno)
    cure = f"; {_CURES[error.errno]}" if error.errno in _CURES else ""
    return f"{at}: {words}{cure}" if at else f"{words}{cure}"


def _in_words(error: BaseException) -> str:
    """The message with its type, or the type alone if there is no message."""
    if isinstance(error, _ON_PURPOSE):
        return _of_worker(str(error)) or type(error).__name__
    return f"{type(error).__name__}: {short(error)}" if str(error) else type(error).__name__


def _is_of_file(error: BaseException) -> bool:
    names = {n for kind in type(error).__mro__ for n in (kind.__name__, _full(kind))}
    return not names.isdisjoint(_OF_FILES)


def _full(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _is_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or (type(error) is RuntimeError and any(w in said for w in _MEMORY_WORDS))


def _frames(error: BaseException) -> list[FrameType]:
    """The calls that led to an error, the innermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_ours(frame: FrameType) -> bool:
    return _module(frame).split(".")[0] == "equiseg"


def _raised_by_equiseg(error: BaseException) -> bool:
    """Whether equiseg raised it itself; an error of a library may have any cause."""
    last = error.__traceback__
    if last is None:
        return True
    while last.tb_next is not None:
        last = last.tb_next
    step = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]]
    return step.startswith(("RAISE", "RERAISE")) and _is_ours(last.tb_frame)


def _in_reader(error: BaseException) -> bool:
    ours = [_module(frame) for frame in _frames(error) if _is_ours(frame)]
    return bool(ours) and ours[0].startswith(_READERS)


def _file_in_hand(error: BaseException) -> Path | None:
    """The file among the arguments of the innermost call of equiseg that has one."""
    for frame in _frames(error):
        known = frame.f_locals.values() if _is_ours(frame) else ()
        for value in known:
            # os.path.isfile is False where Path.is_file raises: a name too long for the system
            if isinstance(value, Path) and os.path.isfile(value):  # noqa: PTH113
                return value
    return None


def _cut(text: str) -> str:
    """A message of a bounded number of lines, each of a bounded length."""
    lines = [short(printable(line), _LONGEST_LINE, keep_spaces=True) for line in text.splitlines()]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more lines"]
    return "\n".join(lines)


def _saved(error: BaseException, line: str) -> str:
    """Write the traceback, the command and the versions to a file; returns its name or the problem.

    In the cache folder, or where that cannot be written in the system's folder for temporary files.
    """
    told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    text = f"{line}\n{_versions()}\n\n{told}"
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    cache = os.environ.get("EQUISEG_CACHE") or "~/.cache/equiseg"
    places: tuple[Callable[[], Path], ...] = (
        lambda: Path(cache).expanduser() / "errors",
        lambda: Path(tempfile.gettempdir()),
    )
    for place in places:
        try:
            folder = place()
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
        except (OSError, RuntimeError):  # RuntimeError: the user has no home
            continue
        return str(folder / name)
    return "could not be saved: neither the cache nor the temporary folder can be written"


def _versions() -> str:
    known = [f"python {platform.python_version()}", platform.platform()]
    for package in ("equiseg", "torch", "numpy", "lightning"):
        try:
            known.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join([*known, f"in {sys.prefix}"])
