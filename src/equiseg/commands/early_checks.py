"""Checks that need no torch, so that a mistyped path is reported at once."""

from __future__ import annotations

from pathlib import Path

from equiseg.foreign_files import FileError


def check_card_path(card: str) -> None:
    """Refuse the path of a card that does not exist, before seconds of imports.

    Raises:
        FileError: If there is no such file.
    """
    path = Path(card)
    if path.suffix in (".yaml", ".yml") and not path.is_file():
        raise FileError(f"{path}: no such card; give the path of a .yaml file that exists")
