"""A progress bar for work that takes a while."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


def tracked(items: Iterable[T], what: str, console: Console) -> Iterable[T]:
    """The items, with a bar that disappears at the end; outside a terminal there is none.

    Args:
        items: The items to go through.
        what: The title of the bar.
        console: Where it is drawn.
    """
    from rich.markup import escape
    from rich.progress import track

    disable = not console.is_terminal
    return track(items, escape(what), console=console, transient=True, disable=disable)
