"""The name of data, as pages call them."""

from __future__ import annotations

from pathlib import Path

from equiseg.data.config import DataConfig
from equiseg.data.errors import DataError
from equiseg.data.sources import find_source


def data_title(card: str, root: str | None = None) -> str:
    """The ``name`` of a card; of other data the word that opens them.

    Args:
        card: As ``data.card`` of a configuration.
        root: Folder of the data; overrides the card's own.
    """
    try:
        return find_source(DataConfig(card=card, root=root)).title
    except (DataError, ValueError):  # moved since, or no card at all
        return Path(card).stem if Path(card).suffix in (".yaml", ".yml") else card
