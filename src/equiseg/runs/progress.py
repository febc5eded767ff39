"""A bar beside what takes a while."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def tracked(items: Iterable[T], what: str, console: Console) -> Iterable[T]:
    """The items, with a bar that leaves nothing behind; off a terminal there is none.

    Args:
        items: What is gone through.
        what: How the bar is named.
        console: Where it is drawn.
    """
    return track(items, what, console=console, transient=True, disable=not console.is_terminal)
