"""DataCard: the fields that cards of images and of point clouds share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equiseg.data.card_fields import (
    ignored_problems,
    not_all,
    shown,
    text_problems,
)
from equiseg.data.class_looks import ClassLooks, color_problems
from equiseg.data.class_names import class_problems, known_names, names_by_value
from equiseg.data.errors import DataError
from equiseg.foreign_text import short

MOST_VALUES = 1 << 16  # a mask has at most 16 bit


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """Description of the files of a data set; the fields that images and point clouds share.

    Attributes:
        name: Name of the data set.
        classes: The class of each value in a mask (each code of a point): a list of names
            (values 0, 1, ...), a mapping from value to name, or the name of a text file under the
            root with one name per line, none blank. Values of a mapping may share a name; they
            become one class. Class ids follow the order given.
        ignore_values: Values that mean "not labelled", in addition to ``ignore_index``.
        ignore_classes: Names of classes whose values mean "not labelled", as if they were in
            ``ignore_values``.
        ignore_index: The label of these values.
        background: Name of the class for "nothing named", if there is one.
        colors: The colour of each class in predictions, as ``{road: "#804080"}``; equiseg chooses
            a colour for every other class.
        root: Folder of the data, relative to the card's own file; usually given when it is opened.
        about: Source, licence, citation and remarks for the reader.

    Raises:
        DataError: If fields are invalid; the message lists all of them.
    """

    name: str
    classes: Sequence[str] | Mapping[int, str] | str
    splits: Any
    ignore_values: Sequence[int] = field(default_factory=tuple)
    ignore_classes: Sequence[str] = field(default_factory=tuple)
    ignore_index: int = 255
    background: str | None = None
    colors: Mapping[str, str] = field(default_factory=dict)
    root: str | None = None
    about: str = ""

    def __post_init__(self) -> None:
        if problems := [*self._common_problems(), *self._own_problems()]:
            raise DataError.listing(f"card {short(self.name)}: fields that cannot work", problems)

    def _own_problems(self) -> Iterator[str]:
        """Yield problems of the fields that only this kind of card has."""
        raise NotImplementedError

    @property
    def path(self) -> Path:
        """The data folder."""
        return Path(self.root or ".")

    def split_names(self) -> list[str]:
        """Names of the splits, each once."""
        return list(dict.fromkeys(self.splits))

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids.

        Raises:
            DataError: If the names cannot be read, repeat, or are fewer than two.
        """
        every = tuple(dict.fromkeys(self._names_by_value().values()))
        if unknown := [name for name in self.ignore_classes if name not in every]:
            raise DataError(
                f"card {self.name}: ignore_classes must be names of classes, got {shown(unknown)}; "
                f"the classes are {shown(every)}"
            )
        names = tuple(name for name in every if name not in set(self.ignore_classes))
        if len(names) < 2:
            raise DataError(
                f"card {self.name}: classes must be at least 2, got {shown(names)}"
                + " that are not ignored" * bool(self.ignore_classes)
            )
        if len(every) > MOST_VALUES:
            raise DataError(
                f"card {self.name}: classes must be at most {MOST_VALUES}, got {len(every)}; is "
                "classes the right file?"
            )
        if 0 <= self.ignore_index < len(names):
            raise DataError(
                f"card {self.name}: ignore_index={self.ignore_index} is also the id of class "
                f"{names[self.ignore_index]!r}; choose a value >= {len(names)}"
            )
        return names

    def background_id(self) -> int | None:
        """Id of the background class.

        Raises:
            DataError: If ``background`` is not one of the classes.
        """
        if self.background is None:
            return None
        names = self.class_names()
        if self.background not in names:
            raise DataError(
                f"card {self.name}: background must be one of the classes {shown(list(names))}, "
                f"got {shown(self.background)}"
            )
        return names.index(self.background)

    def looks(self) -> ClassLooks:
        """How the classes are written and drawn: the value, code and colour of each."""
        names, values = self.class_names(), self._names_by_value()
        if unknown := [name for name in self.colors if name not in names]:
            raise DataError(f"card {self.name}: colors of {unknown}, which are not classes")
        first = {name: value for value, name in reversed(values.items())}
        colors = {name: self._usual_color(first[name]) for name in names} | dict(self.colors)
        return ClassLooks(
            tuple(first[name] for name in names),
            tuple(colors[name] for name in names),
            self.background_id(),
        )

    def _usual_color(self, value: int) -> str | None:
        """The colour that the field gives to a value, if it has one."""
        return None

    def ids_by_value(self) -> dict[int, int]:
        """The class id (or ``ignore_index``) of every value in the card."""
        ids = {name: k for k, name in enumerate(self.class_names())}
        table = {
            value: ids.get(name, self.ignore_index)
            for value, name in self._names_by_value().items()
        }
        ignored = {int(value): self.ignore_index for value in self.ignore_values}
        if both := sorted(set(table) & set(ignored)):
            raise DataError(
                f"card {self.name}: values {shown(both)} are both classes and ignored; "
                "remove them from classes or from ignore_values"
            )
        return ignored | table

    def _names_by_value(self) -> dict[int, str]:
        return names_by_value(f"card {self.name}", self.classes, self.path)

    def _common_problems(self) -> Iterator[str]:
        """Yield problems of the fields that all cards have."""
        yield from text_problems("name", self.name)
        yield from text_problems("about", self.about, lines=True)
        yield from text_problems("background", self.background, optional=True)
        yield from text_problems("root", self.root, optional=True)
        yield from class_problems(self.classes)
        if wrong := not_all(str, self.ignore_classes):
            yield f"ignore_classes must be a list of names of classes, got {shown(wrong)}"
        yield from ignored_problems(self.ignore_index, self.ignore_values)
        yield from color_problems(self.colors, known_names(self.classes))
