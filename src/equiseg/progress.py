"""Track: the protocol by which a long loop reports its progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Track(Protocol):
    """Wrap the items of a loop to draw a bar, write a log, or do nothing.

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
        """Return the same items in the same order; ``what`` names the work ("reading train")."""
        ...


def untracked(items: Iterable[Any], what: str, /) -> Iterable[Any]:
    """Return the items unchanged: no progress is shown."""
    return items
