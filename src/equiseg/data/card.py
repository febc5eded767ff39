"""DataCard: a folder of images and masks, described on half a page of YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from equiseg.data.errors import DataError

_BUILT_IN = resources.files("equiseg.data") / "cards"
MOST_VALUES = 1 << 16  # a mask has at most 16 bit
_SHOWN = 5


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
        images: Folder of the images under the root; ``{split}`` is replaced, by nothing where
            the split lists its images.
        annotations: Folder of the masks, named as their images. ``{split}`` as above.
        ignore_values: Mask values that mean "not labelled", besides ``ignore_index``.
        ignore_index: The label given to them.
        background: Name of the class that stands for "nothing named", if there is one.
        root: Folder of the data, relative to the card's own file; usually given when it is opened.
        about: Source, licence, citation: whatever a reader should know.

    Raises:
        DataError: Listing every field that cannot work.
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

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise DataError.listing(f"card {self.name}: fields that cannot work", problems)

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
            raise DataError(
                f"{source}: missing fields {missing}; every card needs {sorted(required)}"
            )
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
            raise DataError(
                f"card {self.name}: values {both} are both classes and ignored; remove them from "
                "classes or from ignore_values"
            )
        return {self.ignore_index: self.ignore_index} | table | ignored

    def _names_by_value(self) -> dict[int, str]:
        classes = self.classes
        if isinstance(classes, str):
            file = self.path / classes
            try:
                lines = file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(
                    f"{file}: cannot read the class names ({error}); classes must be a list, a "
                    "mapping, or a UTF-8 file under the data folder with one name a line"
                ) from error
            classes = [line.strip() for line in lines if line.strip()]
        if isinstance(classes, Mapping):
            return dict(classes)
        if twice := sorted({name for name in classes if classes.count(name) > 1}):
            raise DataError(
                f"card {self.name}: a list of classes must not repeat names, got {twice} more than "
                "once; to merge mask values into one class, write classes as a mapping"
            )
        return dict(enumerate(classes))


def _problems(card: DataCard) -> Iterator[str]:
    """Fields of the wrong form; YAML takes 0001 for a number and null for nothing."""
    for field_name in ("images", "annotations"):
        folder = getattr(card, field_name)
        try:
            folder.format(split="")
        except (AttributeError, LookupError, ValueError):
            yield f"{field_name} must be a folder name, with or without {{split}}, got {folder!r}"
    splits = card.splits
    if not isinstance(splits, Mapping) or not splits:
        yield f"splits must map split names to folders or lists of image names, got {splits!r}"
    else:
        for split, chosen in splits.items():
            if not isinstance(chosen, str) and (wrong := _not_all(str, chosen)):
                yield (
                    f"splits: {split} must be a folder name or a list of image names, got "
                    f"{wrong}; put names that look like numbers in quotes"
                )
    names = list(card.classes.values()) if isinstance(card.classes, Mapping) else card.classes
    if not isinstance(names, str) and (wrong := _not_all(str, names)):
        yield f"classes must be names, got {wrong}; put names such as null, no or 1 in quotes"
    values = list(card.classes) if isinstance(card.classes, Mapping) else []
    for field_name, given in (("classes", values), ("ignore_values", card.ignore_values)):
        wrong = _not_all(int, given) or [v for v in given if not 0 <= v < MOST_VALUES]
        if wrong:
            yield f"{field_name} must have mask values 0..{MOST_VALUES - 1}, got {wrong[:_SHOWN]}"
    if _not_all(int, [card.ignore_index]) or card.ignore_index < 0:
        yield f"ignore_index must be an integer >= 0 (255 is usual), got {card.ignore_index!r}"


def _not_all(kind: type, values: object) -> list[Any]:
    """Entries that are not of a kind, the first of them; or the whole that is no list."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return [values]
    return [v for v in values if not isinstance(v, kind) or isinstance(v, bool)][:_SHOWN]


def _read(source: str | Path) -> tuple[dict[str, Any], Path]:
    """The fields of a card, and the folder its relative root starts from."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError('data cards need PyYAML: pip install "equiseg[data]"') from error
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise DataError(f"{path}: no such card; give the path of a .yaml file that exists")
        folder = path.parent
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot read the card ({error}); save it as UTF-8") from error
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
