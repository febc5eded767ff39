"""What is wrong with a data set, said by file name."""

from collections.abc import Sequence

_MOST_LINES = 20


class DataError(ValueError):
    """A data set cannot be used as it is; the message names the files and the cure."""

    @classmethod
    def listing(cls, heading: str, problems: Sequence[str]) -> "DataError":
        """One error for many problems, the first of them listed."""
        lines = [f"{heading} ({len(problems)}):", *(f"  {line}" for line in problems[:_MOST_LINES])]
        if len(problems) > _MOST_LINES:
            lines.append(f"  ... and {len(problems) - _MOST_LINES} more")
        return cls("\n".join(lines))
