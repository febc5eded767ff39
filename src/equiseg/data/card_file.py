"""Reading a data card: a YAML file, or one of the package."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from equiseg.data.card_fields import shown, text_problems
from equiseg.data.errors import DataError
from equiseg.data.image_card import ImageCard
from equiseg.data.point_card import PointCard
from equiseg.data.split_lists import with_lists
from equiseg.data.yaml_file import read_yaml
from equiseg.dotted_names import absolute_name
from equiseg.foreign_files import is_folder
from equiseg.foreign_text import short

_BUILT_IN = resources.files("equiseg.data") / "cards"


def load_card(source: str | Path, root: str | Path | None = None) -> ImageCard | PointCard:
    """Read a card; a card with the field ``form`` is a `PointCard`, any other an `ImageCard`.

    Args:
        source: Path of a YAML file, or the name of a card in the package.
        root: Folder of the data; overrides the card's own.

    Raises:
        DataError: If there is no such card, it is not valid YAML, a field is invalid, or the data
            folder is missing.
    """
    values, folder = _read(source)
    kind: type[ImageCard | PointCard] = PointCard if "form" in values else ImageCard
    known = {f.name for f in dataclasses.fields(kind)}
    required = {"name", "classes", "splits"}
    if unknown := [name for name in values if name not in known]:
        raise DataError(
            f"{source}: unknown fields {shown(unknown)}; a card of "
            f"{'point clouds' if kind is PointCard else 'images'} has {sorted(known)}"
        )
    if missing := sorted(required - set(values)):
        raise DataError(f"{source}: missing fields {missing}; every card needs {sorted(required)}")
    if problems := [*text_problems("root", values.get("root"), optional=True)]:
        raise DataError(f"{source}: {problems[0]}")
    if isinstance(form := values.get("form"), str):
        values = values | {"form": absolute_name(form, folder)}
    root = _root(source, values, folder) if root is None else Path(root)
    if not is_folder(root):
        raise DataError(
            f"{source}: data folder {short(root)} does not exist; give another (root "
            "in the card, or the option root)"
        )
    try:
        return kind(**(values | {"root": str(root), "splits": with_lists(values["splits"], root)}))
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def _root(source: str | Path, values: Mapping[str, Any], folder: Path) -> Path:
    """The data folder that a card names."""
    if values.get("root") is None:
        raise DataError(
            f"{source}: the card names no data folder; give one (root in the "
            "card, or the option root)"
        )
    return folder / str(values["root"])


def _read(source: str | Path) -> tuple[dict[str, Any], Path]:
    """The fields of a card, and the folder its relative root starts from."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise DataError(f"{path}: no such card; give the path of a .yaml file that exists")
        values, folder = read_yaml(path), path.parent
    else:
        built_in = _BUILT_IN / f"{source}.yaml"
        if not built_in.is_file():
            names = sorted(entry.name.removesuffix(".yaml") for entry in _BUILT_IN.iterdir())
            raise DataError(
                f"no data card {shown(str(source))}; name a .yaml file or one of {', '.join(names)}"
            )
        values, folder = read_yaml(built_in), Path(str(_BUILT_IN))
    if not isinstance(values, dict):
        raise DataError(f"{source}: a card is a mapping of fields, got {type(values).__name__}")
    return values, folder
