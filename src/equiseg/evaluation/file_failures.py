"""Files that fail: collected with their names, while the other files go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from equiseg.data.errors import DataError
from equiseg.evaluation.finite_logits import NonFiniteError
from equiseg.foreign_files import FileError
from equiseg.foreign_text import short

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail as well


class FileFailures:
    """The problems of many files, reported in the order of the files.

    Args:
        problems: Problems found before the first file; they are reported first.
    """

    def __init__(self, problems: list[str]) -> None:
        self._before = problems
        self._of_files: dict[int, str] = {}
        self._unforeseen: dict[int, Exception] = {}

    @contextmanager
    def caught(self, place: int, file: Path) -> Iterator[None]:
        """Collect an error of one file instead of raising it.

        Only a mistake that every file shares is raised: a network that computes NaN, a library that
        is missing, a disk that is full.

        Args:
            place: Of the file among all files.
            file: The file.
        """
        try:
            yield
        except (NonFiniteError, ImportError):
            raise
        except FileError as error:
            self._of_files[place] = str(error)
        except MemoryError:
            self._of_files[place] = f"{file}: not enough memory; cut it into parts"
        except OSError as error:
            if error.errno in _FULL:
                raise
            self._of_files[place] = f"{file}: {short(error)}"
        except Exception as error:
            self._of_files[place] = f"{file}: {type(error).__name__}: {short(error)}"
            self._unforeseen[place] = error

    def raise_any(self, heading: str) -> None:
        """Raise one error for all problems, if there are any.

        Args:
            heading: The kind of problem.

        Raises:
            DataError: With the problems in its list.
        """
        problems = self._before + [text for _, text in sorted(self._of_files.items())]
        if problems:
            failed = DataError.listing(heading, problems)
            if self._unforeseen:
                failed.unforeseen = self._unforeseen[min(self._unforeseen)]
            raise failed
