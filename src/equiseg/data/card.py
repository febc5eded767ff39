"""DataCard: a folder of images and masks, described on half a page of YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from equiseg.data.errors import DataError

_BUILT_IN = resources.files("equiseg.data") / "cards"


@dataclass(frozen=True)
class DataCard:
    """Where the images and masks of a data set lie and what the mask values mean.

    Attributes:
        name: Name of the data set.
        classes: What each mask value stands for: a list of names (values 0, 1, ...), a mapping
            from mask value to name, or the name of a text file under the root with one name a
            line. In a mapping, values may share a name: they become one class. Classes are numbered
            in the order given.
        splits: For each split (train, val, test) the name to put for ``{split}`` in the folder
            patterns, or the list of its image names without suffix.
        images: Folder of the images under the root; ``{split}`` is replaced.
        annotations: Folder of the masks, named as their images. ``{split}`` as above.
        ignore_values: Mask values that mean "not labelled", besides ``ignore_index``.
        ignore_index: The label given to them.
        background: Name of the class that stands for "nothing named", if there is one.
        root: Folder of the data, relative to the card's own file; usually given when it is opened.
        about: Source, licence, citation: whatever a reader should know.
    """

    name: str
    classes: Sequence[str] | Mapping[int, str] | str
    splits: Mapping[str, str | Sequence[str]]
    images: str = "images/{split}"
    annotations: str = "annotations/{split}"
    ignore_values: Sequence[int] = field(default_factory=tuple)
    ignore_index: int = 255
    background: str | None = None
    root: str | None = None
    about: str = ""

    @classmethod
    def load(cls, source: str | Path, root: str | Path | None = None) -> DataCard:
        """Read a card.

        Args:
            source: Path of a YAML file, or the name of a card that comes with equiseg.
            root: Folder of the data; overrides the card's own.

        Raises:
            DataError: If there is no such card, it does not parse, or the data folder is missing.
        """
        values, folder = _read(source)
        known = {f.name for f in dataclasses.fields(cls)}
        required = {"name", "classes", "splits"}
        if unknown := sorted(set(values) - known):
            raise DataError(f"{source}: unknown fields {unknown}; a card has {sorted(known)}")
        if missing := sorted(required - set(values)):
            raise DataError(f"{source}: missing fields {missing}")
        card = cls(**values)
        if root is None:
            if card.root is None:
                raise DataError(
                    f"{source}: the card names no data folder; give one (--data.root FOLDER)"
                )
            root = folder / card.root
        if not Path(root).is_dir():
            raise DataError(f"{source}: data folder {root} does not exist; give it as --data.root")
        return dataclasses.replace(card, root=str(root))

    @property
    def path(self) -> Path:
        """The data folder."""
        return Path(self.root or ".")

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return tuple(dict.fromkeys(self._names_by_value().values()))

    def ids_by_value(self) -> dict[int, int]:
        """The class id (or ``ignore_index``) of every mask value the card knows."""
        ids = {name: k for k, name in enumerate(self.class_names())}
        table = {value: ids[name] for value, name in self._names_by_value().items()}
        ignored = {int(value): self.ignore_index for value in self.ignore_values}
        if both := sorted(set(table) & set(ignored)):
            raise DataError(f"card {self.name}: values {both} are both classes and ignored")
        return {self.ignore_index: self.ignore_index} | table | ignored

    def _names_by_value(self) -> dict[int, str]:
        classes = self.classes
        if isinstance(classes, str):
            file = self.path / classes
            try:
                lines = file.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise DataError(f"{file}: cannot read the class names ({error})") from error
            classes = [line.strip() for line in lines if line.strip()]
        if isinstance(classes, Mapping):
            return {int(value): str(name) for value, name in classes.items()}
        names = [str(name) for name in classes]
        if len(set(names)) < len(names):
            raise DataError(f"card {self.name}: a list of classes must not repeat a name")
        return dict(enumerate(names))


def _read(source: str | Path) -> tuple[dict[str, Any], Path]:
    """The fields of a card, and the folder its relative root starts from."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError('data cards need PyYAML: pip install "equiseg[data]"') from error
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise DataError(f"{path}: no such card")
        text, folder = path.read_text(encoding="utf-8"), path.parent
    else:
        built_in = _BUILT_IN / f"{source}.yaml"
        if not built_in.is_file():
            names = sorted(entry.name.removesuffix(".yaml") for entry in _BUILT_IN.iterdir())
            raise DataError(
                f"no data card {str(source)!r}; name a .yaml file or one of {', '.join(names)}"
            )
        text, folder = built_in.read_text(encoding="utf-8"), Path()
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"{source}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{source}: a card is a mapping of fields, got {type(values).__name__}")
    return values, folder
