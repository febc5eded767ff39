"""DataError: the problems of a data set, listed by file name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from equiseg.foreign_files import FileError

_MOST_LINES = 20


class DataError(FileError):
    """A data set cannot be used as it is; the message names the files and the next step.

    Attributes:
        problems: Each as "FILE: problem", if the message lists several.
        unforeseen: The first error behind them that nobody foresaw; its traceback is saved.
    """

    problems: tuple[str, ...] = ()
    unforeseen: Exception | None = None

    @classmethod
    def listing(cls, heading: str, problems: Sequence[str]) -> "DataError":
        """One error that lists the first of many problems.

        Args:
            heading: The kind of problem.
            problems: Each as "FILE: problem"; a problem that several files share is written once.
        """
        files: dict[str, list[str]] = {}
        for problem in problems:
            file, _, wrong = problem.partition(": ")
            files.setdefault(wrong, []).append(file)
        each = max(3, _MOST_LINES // len(files))
        lines, told = [f"{heading} ({len(problems)}):"], 0
        for wrong, names in files.items():
            if len(lines) > _MOST_LINES:
                break
            told += len(names)
            if wrong and len(names) < 4:
                lines += [f"  {name}: {wrong}" for name in names]
                continue
            lines += [f"  {wrong}, in {len(names)} files:"] * bool(wrong)
            indent = "    " if wrong else "  "
            lines += [indent + name for name in names[:each]]
            if len(names) > each:
                lines.append(f"{indent}... and {len(names) - each} more")
        if told < len(problems):
            lines.append(f"  ... and {len(problems) - told} more")
        error = cls("\n".join(lines))
        error.problems = tuple(problems)
        return error


@contextmanager
def as_data_errors() -> Iterator[None]:
    """A FileError of a general check, raised in this block, becomes a DataError."""
    try:
        yield
    except DataError:
        raise
    except FileError as error:
        raise DataError(str(error)) from error.__cause__
