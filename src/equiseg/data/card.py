"""Data cards: YAML files that describe a folder of images or of point clouds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from equiseg.data.card_fields import (
    SHOWN,
    file_pattern_problems,
    group_problems,
    length_problems,
    not_all,
    pattern_problems,
    shown,
    split_problems,
    text_problems,
    unused_split_problems,
)
from equiseg.data.class_looks import ClassLooks, color_problems
from equiseg.data.errors import DataError
from equiseg.data.points.formats.table import find_format
from equiseg.data.split_lists import with_lists
from equiseg.data.yaml_file import read_yaml
from equiseg.dotted_names import absolute_name
from equiseg.foreign_files import FileError, read_text
from equiseg.foreign_text import short

_BUILT_IN = resources.files("equiseg.data") / "cards"
MOST_VALUES = 1 << 16  # a mask has at most 16 bit
_MOST_IGNORE_INDEX = (1 << 31) - 1
_IMAGES, _ANNOTATIONS = "images/{split}", "annotations/{split}"


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
            those of the others.
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
        if problems := [*_common_problems(self), *self._own_problems()]:
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
            raise DataError(f"card {self.name}: colors of {unknown}, which are no classes")
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
        classes = self.classes
        if isinstance(classes, str):
            classes = _read_names(self.path / classes)
        if isinstance(classes, Mapping):
            return dict(classes)
        if twice := sorted(name for name, times in Counter(classes).items() if times > 1):
            raise DataError(
                f"card {self.name}: a list of classes must not repeat names, got {shown(twice)} "
                "more than once; to merge values into one class, write classes as a mapping"
            )
        return dict(enumerate(classes))


@dataclass(frozen=True, kw_only=True)
class ImageCard(DataCard):
    """A folder of images and masks.

    Attributes:
        splits: For each split (train, val, test) the text that replaces ``{split}`` in the folder
            patterns, or the list of its image names without suffix, or a text file under the root
            with one name per line ("train.txt").
        images: Folder of the images under the root. ``{split}`` is replaced as ``splits`` says, by
            nothing if the split lists its images.
        annotations: Folder of the masks, which have the names of their images. ``{split}`` as
            above.
        image: Instead of ``images``: a pattern of the image files, for names with a suffix and
            nested folders, as "{split}/{city}/{name}_leftImg8bit.png". ``{name}`` and any other
            field match a part of one folder or file name; a pattern without suffix takes all image
            formats.
        annotation: Instead of ``annotations``: the pattern of the masks, with the same fields. An
            image and its mask have the same texts in them.
    """

    splits: Mapping[str, str | Sequence[str]]
    images: str = _IMAGES
    annotations: str = _ANNOTATIONS
    image: str | None = None
    annotation: str | None = None

    def patterns(self) -> tuple[str, str]:
        """The patterns of image files and of masks, with fields in braces."""
        if self.image is not None and self.annotation is not None:
            return self.image, self.annotation
        images, annotations = (
            f"{folder}/{{name}}" if folder else "{name}"
            for folder in (self.images, self.annotations)
        )
        return images, annotations

    def ids_by_value(self) -> dict[int, int]:
        """As in any card; ``ignore_index`` itself is also a valid mask value."""
        return {self.ignore_index: self.ignore_index} | super().ids_by_value()

    def _own_problems(self) -> Iterator[str]:
        for field_name in ("images", "annotations"):
            yield from pattern_problems(field_name, getattr(self, field_name))
        if self.image is not None or self.annotation is not None:
            yield from file_pattern_problems(self.image, self.annotation)
            if (self.images, self.annotations) != (_IMAGES, _ANNOTATIONS):
                yield "image and annotation replace images and annotations; give two of the four"
        yield from split_problems(self.splits, "image")
        patterns = (self.image or self.images, self.annotation or self.annotations)
        yield from unused_split_problems(self.splits, patterns)
        values = list(self.classes) if isinstance(self.classes, Mapping) else []
        for field_name, given in (("classes", values), ("ignore_values", self.ignore_values)):
            if not_all(int, given):
                continue  # said already
            if wrong := [v for v in given if not 0 <= v < MOST_VALUES]:
                yield (
                    f"{field_name} must have mask values 0..{MOST_VALUES - 1}, got "
                    f"{shown(wrong[:SHOWN])}"
                )


@dataclass(frozen=True, kw_only=True)
class PointCard(DataCard):
    """A folder of labelled point clouds.

    Attributes:
        form: Format of the files: "las" (also LAZ), "ply", "arrays" (NPZ files or folders of NPY
            files), "semantic_kitti" or "scannet200" (their official layouts), or a function
            ``read(path) -> PointCloud`` of your own: "my_module.read" or "file.py:read", the file
            relative to the card.
        points: Files (folders for NPY) under the root, as a pattern like ``{split}/*.laz``.
            Not needed for "semantic_kitti" and "scannet200".
        splits: For each split (train, val, test) the text that replaces ``{split}``, or the list of
            its scan names without suffix, or a text file under the root with one name per line. Or
            a list of split names, such as ``[train, train, val,
            test]``: blocks are then assigned to the splits in this pattern, stratified by class
            (``equiseg.data.points.store.split_blocks``).
        features: The network's input at each point, in addition to its coordinates: rgb, nir,
            intensity, returns, normal, height (above ground, computed), or the name of an attribute
            of the files. Without features, the input is a constant.
        voxel: Side of a voxel, in meters.
        block: Side of the square blocks that scans are cut into, in meters. None uses whole scans.
        margin: Width of the context around a block, in meters: the network sees its points, but
            they are neither learned nor scored.
        label_name: Name of the attribute with the class codes, for the forms "las" (a dimension),
            "ply" (a property) and "arrays" (an array). None takes the one with a usual name
            (``label``, ``class``, ``classification``, ``semantic``, ``segment``, ...; LAS files
            always have ``classification``); if several have one, the error names them.
        ignore_others: Whether to ignore codes that the card does not name; False refuses them.
        groups: Names of the classes in head, common and tail, if a benchmark defines them. None
            takes thirds by training frequency.
    """

    form: str
    splits: Mapping[str, str | Sequence[str]] | Sequence[str]
    points: str = ""
    features: Sequence[str] = field(default_factory=tuple)
    voxel: float = 0.05
    block: float | None = None
    margin: float = 0.0
    label_name: str | None = None
    ignore_others: bool = False
    groups: Mapping[str, Sequence[str]] | None = None

    def _own_problems(self) -> Iterator[str]:
        try:
            scan_format = find_format(self.form)
        except ValueError as error:
            yield str(error)
            scan_format = None
        if scan_format is not None and scan_format.official is None:
            if not self.points:
                yield f"points must be given for form {self.form!r}, as in '{{split}}/*.laz'"
            yield from pattern_problems(
                "points", self.points, "pattern of files, with or without {split}"
            )
            if isinstance(self.points, str) and not self.points.replace("{split}", "").strip("/"):
                yield f"points must name files, as in '{{split}}/*.laz', got {shown(self.points)}"
            yield from unused_split_problems(self.splits, [self.points])
        if self.label_name is not None:
            if not isinstance(self.label_name, str) or not self.label_name:
                yield f"label_name must be the name of an attribute, got {self.label_name!r:.80}"
            elif scan_format is not None and not scan_format.chosen_labels:
                yield f"label_name has no meaning for form {self.form!r}, whose labels have a place"
        if isinstance(self.splits, Mapping):
            yield from split_problems(self.splits, "scan")
        elif not self.splits or not_all(str, self.splits):
            yield (
                "splits must map split names to folders or lists of scan names, or be a list of "
                f"split names such as [train, train, val, test], got {shown(self.splits)}"
            )
        elif self.block is None:
            yield "splits that deal blocks need block, the side of a block in meters"
        if wrong := not_all(str, self.features):
            yield f"features must be a list of names, got {shown(wrong)}"
        yield from length_problems("voxel", self.voxel)
        if self.block is not None:
            yield from length_problems("block", self.block)
        yield from length_problems("margin", self.margin, or_zero=True)
        if self.margin and self.block is None:
            yield f"margin needs blocks to lie around, got {shown(self.margin)} without block"
        if not isinstance(self.ignore_others, bool):
            yield f"ignore_others must be true or false, got {shown(self.ignore_others)}"
        if self.groups is not None:
            yield from group_problems(self.groups, self.classes, self.ignore_classes)

    def _usual_color(self, value: int) -> str | None:
        """LAS files are drawn in the colours of their standard, in every viewer."""
        from equiseg.data.points.asprs import ASPRS_COLORS

        return ASPRS_COLORS.get(value) if self.form == "las" else None


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
    if not root.is_dir():
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


def _read_names(file: Path) -> list[str]:
    """The names of classes in a text file, one a line; blank lines may only be last.

    Raises:
        DataError: If the file cannot be read, or a line is blank.
    """
    try:
        names = [line.strip() for line in read_text(file).rstrip().splitlines()]
    except FileError as error:
        raise DataError(
            f"{error} (cannot read the class names; classes must be a list, a mapping, or a text "
            "file under the data folder with one name a line)"
        ) from error
    if "" in names:
        raise DataError(
            f"{file}: line {names.index('') + 1} is blank, so it is unclear which value the next "
            "class has; a line names the class of the value 0, 1, ...: remove the blank line, or "
            "write classes as a mapping from value to name"
        )
    return names


def _common_problems(card: DataCard) -> Iterator[str]:
    """Yield fields of the wrong type; YAML reads 0001 as a number and null as None."""
    yield from text_problems("name", card.name)
    yield from text_problems("about", card.about)
    for field_name in ("background", "root"):
        yield from text_problems(field_name, getattr(card, field_name), optional=True)
    names = list(card.classes.values()) if isinstance(card.classes, Mapping) else card.classes
    if not isinstance(names, str):
        if wrong := not_all(str, names):
            yield (
                f"classes must be names, got {shown(wrong)}; put names such as null, no or 1 in "
                "quotes"
            )
        elif any(not name.strip() for name in names):
            yield "classes must have names, got a blank one"
    if wrong := not_all(str, card.ignore_classes):
        yield f"ignore_classes must be a list of names of classes, got {shown(wrong)}"
    values = list(card.classes) if isinstance(card.classes, Mapping) else []
    for field_name, given in (("classes", values), ("ignore_values", card.ignore_values)):
        if wrong := not_all(int, given):
            yield f"{field_name} must have whole numbers for values, got {shown(wrong)}"
        elif wrong := [v for v in given if abs(v) > _MOST_IGNORE_INDEX]:
            yield (f"{field_name} must have values of at most 31 bits, got {shown(wrong[:SHOWN])}")
    yield from color_problems(card.colors, [] if isinstance(names, str) else list(names))
    if not_all(int, [card.ignore_index]) or not 0 <= card.ignore_index <= _MOST_IGNORE_INDEX:
        yield (
            f"ignore_index must be an integer >= 0 of at most 31 bits (255 is usual), got "
            f"{shown(card.ignore_index)}"
        )


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
