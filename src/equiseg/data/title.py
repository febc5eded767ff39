"""The name of data, as pages call them."""

from __future__ import annotations

from pathlib import Path

from equiseg.data.card import load_card
from equiseg.data.config import BUILT_IN
from equiseg.data.errors import DataError


def data_title(card: str, root: str | None = None) -> str:
    """The ``name`` of a card; of other data the word that opens them.

    Args:
        card: As ``data.card`` of a configuration.
        root: Folder of the data; overrides the card's own.
    """
    if card in BUILT_IN:
        return card
    try:
        return load_card(card, root).name
    except DataError:  # moved since, or no card at all
        return Path(card).stem if Path(card).suffix in (".yaml", ".yml") else card
