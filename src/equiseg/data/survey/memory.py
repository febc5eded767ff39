"""Memory: answers about samples in a database, shared by processes and kept between runs."""

from __future__ import annotations

import os
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from equiseg.progress import Track

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_SECONDS = 60.0  # that a process waits while another one writes; a write takes milliseconds
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers"
    " (key BLOB PRIMARY KEY, state BLOB NOT NULL, answer BLOB NOT NULL, checksum INTEGER NOT NULL)"
    " WITHOUT ROWID"
)
_WAITING = "waiting for another process, which reads the same files"
_Result = TypeVar("_Result")


class Memory:
    """Answers by key and state, in one SQLite file.

    A connection is open during a call only, so that none is inherited by worker processes. A
    database that cannot be used costs time and nothing else: a warning says so, and the answers are
    not remembered. A damaged one is made anew by the process that holds the :meth:`claim`.

    Args:
        file: The database; its folder is made by :meth:`claim`, the file by :meth:`remember`.
        shared: Whether other processes may use it at the same time.
    """

    def __init__(self, file: Path, *, shared: bool = True) -> None:
        self.file = file
        self.shared = shared
        self._usable = True
        self._claimed = False

    def recall(self, states: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """The remembered answers.

        Args:
            states: The state of each key, at most some hundreds.

        Returns:
            Answers by key, for those keys that were remembered in the same state, unless the
            answer was damaged.
        """
        marks = ",".join("?" * len(states))
        query = f"SELECT key, state, answer, checksum FROM answers WHERE key IN ({marks})"

        def found(connection: sqlite3.Connection) -> dict[bytes, bytes]:
            rows = connection.execute(query, [*states])
            return {
                key: answer
                for key, state, answer, checksum in rows
                if states[key] == state and zlib.crc32(answer) == checksum
            }

        return self._with_database(found, {}) if self.file.exists() else {}

    def remember(self, rows: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Add or replace answers, all or none.

        Args:
            rows: Key, state and answer of each.
        """
        checked = [(*row, zlib.crc32(row[-1])) for row in rows]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", checked)

        if checked:
            self._with_database(write, None)

    def forget(self, is_gone: Callable[[bytes], bool]) -> None:
        """Remove the answers whose keys are gone."""

        def remove(connection: sqlite3.Connection) -> None:
            keys = connection.execute("SELECT key FROM answers")
            gone = [(key,) for (key,) in keys if is_gone(key)]
            connection.executemany("DELETE FROM answers WHERE key = ?", gone)

        if self.file.exists():
            self._with_database(remove, None)

    @contextmanager
    def claim(self, track: Track) -> Iterator[None]:
        """Hold the right to add answers; other processes wait here until this one is done.

        The system frees the claim of a process that ends, even if it is killed. Where locks are not
        supported, nobody waits, and files may be read by several processes.

        Args:
            track: Shows that this process waits.
        """
        lock = self._lock()
        try:
            if lock is not None:
                _acquire(lock, track)
            self._claimed = True
            yield
        finally:
            self._claimed = False
            if lock is not None:
                os.close(lock)

    def _lock(self) -> int | None:
        """A descriptor to lock; None if there can be none."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if fcntl is None or not self.shared:
                return None
            return os.open(self.file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            self._give_up(error)
            return None

    def _with_database(
        self, action: Callable[[sqlite3.Connection], _Result], otherwise: _Result
    ) -> _Result:
        """The result of an action in one transaction; ``otherwise`` if the database has failed."""
        if not self._usable:
            return otherwise
        try:
            with closing(sqlite3.connect(self.file, timeout=_SECONDS)) as connection, connection:
                connection.execute(_TABLE)
                return action(connection)
        except sqlite3.OperationalError as error:  # a full disk, a folder that is read-only
            self._give_up(error)
        except sqlite3.DatabaseError as error:  # the file is no database, or a damaged one
            if self._claimed:
                self._start_anew(error)
        return otherwise

    def _start_anew(self, reason: Exception) -> None:
        try:
            self.file.unlink()
        except OSError as error:
            self._give_up(error)
            return
        warnings.warn(f"{self.file}: damaged ({reason}); it is made anew", stacklevel=2)

    def _give_up(self, reason: Exception) -> None:
        if self._usable:
            self._usable = False
            warnings.warn(
                f"{self.file}: cannot be used ({reason}), so files will be read again next time; "
                "delete it, or set the environment variable EQUISEG_CACHE to a folder that can be "
                "written and has room",
                stacklevel=2,
            )


def _acquire(lock: int, track: Track) -> None:
    """Lock a file for this process, not for the workers that it starts: they may outlive it."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # held by another process
        for _ in track((None,), _WAITING):
            fcntl.lockf(lock, fcntl.LOCK_EX)
    except OSError:  # this file system has no locks
        return
