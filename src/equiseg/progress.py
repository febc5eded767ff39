"""Track: how a long loop reports its progress, whatever draws the bar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Track(Protocol):
    """Wraps what a loop runs over; draws a bar, writes a log, or does nothing.

    Examples:
        >>> def printed(items, what):
        ...     for number, item in enumerate(items):
        ...         print(what, number)
        ...         yield item
        >>> sum(printed([3, 4], "reading"))
        reading 0
        reading 1
        7
    """

    def __call__(self, items: Iterable[Any], what: str, /) -> Iterable[Any]:
        """The same items in the same order; ``what`` names the work, as in "reading train"."""
        ...


def untracked(items: Iterable[Any], what: str, /) -> Iterable[Any]:
    """The items as they are: no progress is shown."""
    return items
