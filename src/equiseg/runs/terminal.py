"""Texts from outside in a terminal: names of classes, folders and files without markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equiseg.foreign_text import printable

if TYPE_CHECKING:
    from rich.text import Text


def as_is(text: object, style: str = "") -> Text:
    """A text for rich without markup and without characters that would move the cursor.

    A class may be named "veg [low]", a folder "[/bold]".

    Args:
        text: The text.
        style: Its style.
    """
    from rich.text import Text

    return Text("\n".join(map(printable, str(text).split("\n"))), style)


def folder_line(said: str, folder: object, end: str = "") -> Text:
    """A sentence with a folder or file in it, which is bold."""
    from rich.text import Text

    return Text.assemble(said, (printable(folder), "bold"), end)
