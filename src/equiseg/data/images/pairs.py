"""Pairs of an image and its mask, by the patterns or folders of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from equiseg.data.errors import DataError, as_data_errors
from equiseg.data.image_card import ImageCard
from equiseg.data.images.opened import IMAGE_SUFFIXES
from equiseg.data.name_patterns import Values, find_files, first_folder, pattern_fields
from equiseg.foreign_files import is_folder, is_hidden, name_key


class Pair(NamedTuple):
    """The paths of an image and its mask, as texts: there may be hundreds of thousands."""

    image: str
    mask: str


def find_pairs(card: ImageCard, split: str) -> tuple[dict[str, Pair], list[str]]:
    """The pairs of one split by their names, and all problems.

    A name is the text that ``{name}`` matches in the patterns of the card. If two pairs share
    it, all names are the values of all fields, such as "aachen-000019".

    Args:
        card: The description of the data set.
        split: Name of a split.

    Returns:
        The pairs, in the order of their names, and the missing or repeated files.

    Raises:
        DataError: If a folder does not exist.
    """
    chosen = card.splits[split]
    text = chosen if isinstance(chosen, str) else ""
    patterns = card.patterns()
    folders = [first_folder(card.path, pattern, text) for pattern in patterns]
    if missing := [str(folder) for folder in folders if not is_folder(folder)]:
        raise DataError(f"no such folder: {', '.join(missing)}; check the card and the data root")
    problems: list[str] = []
    fields = _fields(patterns[0])
    images, masks = (_by_values(card, pattern, text, fields, problems) for pattern in patterns)
    every = list(images)
    wanted: Sequence[Values] = sorted(every)
    if not isinstance(chosen, str):
        wanted = _listed(chosen, every, fields, folders[0], problems)
    for values in wanted:
        if values not in masks:
            said = _text(values) + _nearly(values, masks)
            problems.append(f"{images[values]}: no mask named {said}")
    if isinstance(chosen, str):
        problems += [
            f"{masks[v]}: no image named {_text(v)}{_nearly(v, images)}"
            for v in masks
            if v not in images
        ]
    place = fields.index("name")
    unique = len({values[place] for values in wanted}) == len(wanted)
    return {
        values[place] if unique else "-".join(values): Pair(images[values], masks[values])
        for values in wanted
        if values in masks
    }, problems


def complete_pairs(card: ImageCard, split: str) -> dict[str, Pair]:
    """The pairs of one split by their names.

    Raises:
        DataError: If an image or mask is missing or found twice, or there is none.
    """
    pairs, problems = find_pairs(card, split)
    if problems:
        heading = f"{card.name}/{split}: every image needs one mask of its name, and only one"
        cure = (
            ""
            if card.image
            else (
                '\n  names with a suffix, such as a_mask.png, need patterns in the card: image: "'
                f'{card.images}/{{name}}.jpg" and annotation: "{card.annotations}/'
                '{name}_mask.png"; or rename the files'
            )
        )
        raise DataError(f"{DataError.listing(heading, problems)}{cure}")
    if not pairs:
        raise DataError(_no_images(card, split))
    return pairs


def _by_values(
    card: ImageCard, pattern: str, text: str, fields: Sequence[str], problems: list[str]
) -> dict[Values, str]:
    """Files by the values of their fields, in the order of ``fields``."""
    order = [_fields(pattern).index(field) for field in fields]
    files: dict[Values, str] = {}
    with as_data_errors():
        for found, file in find_files(card.path, pattern, text, IMAGE_SUFFIXES):
            values = tuple(found[place] for place in order)
            if values in files:
                problems.append(f"{file}: named as {Path(files[values]).name}; keep one of them")
            files[values] = file
    return files


def _listed(
    names: Sequence[str],
    every: Sequence[Values],
    fields: Sequence[str],
    folder: Path,
    problems: list[str],
) -> list[Values]:
    """The images that a card lists by their name, or by all fields as "aachen/000019"."""
    place = fields.index("name")
    known: dict[str, list[Values]] = {}
    for values in every:
        for text in dict.fromkeys((_text(values), values[place])):
            known.setdefault(text, []).append(values)
    wanted = []
    for name in names:
        found = known.get(name_key(name), [])
        if len(found) == 1:
            wanted += found
        elif found:
            problems.append(f"{folder / name}: {len(found)} images of this name; write {found[0]}")
        elif Path(name).suffix.lower() in IMAGE_SUFFIXES:
            problems.append(f"{folder / name}: no image of this name; list names without suffix")
        else:
            by_text = {_text(values): values for values in every}
            problems.append(f"{folder / name}: no image of this name{_nearly((name,), by_text)}")
    return wanted


def _nearly(values: Values, others: Mapping[Values, object] | Mapping[str, object]) -> str:
    """A hint at a name that differs in upper and lower case only."""
    wanted = _text(values).casefold()
    for other in others:
        text = other if isinstance(other, str) else _text(other)
        if text.casefold() == wanted:
            return f" ({text} differs in upper and lower case; rename one)"
    return ""


def _no_images(card: ImageCard, split: str) -> str:
    """The message for a split without images, which may be in folders below."""
    chosen = card.splits[split]
    pattern = card.patterns()[0]
    folder = first_folder(card.path, pattern, chosen if isinstance(chosen, str) else "")
    message = f"card {card.name}: no images for split {split!r} in {folder}; they end in "
    message += " ".join(IMAGE_SUFFIXES)
    below = [f for f in sorted(folder.iterdir()) if f.is_dir() and not is_hidden(f)]
    if below and not card.image:
        message += (
            f". Are they in folders such as {below[0].name}? Then write patterns into the card: "
            f'image: "{card.images}/{{folder}}/{{name}}" and annotation: "{card.annotations}/'
            '{folder}/{name}"'
        )
    return message


def _fields(pattern: str) -> list[str]:
    return [field for field in pattern_fields(pattern) if field != "split"]


def _text(values: Values) -> str:
    return "/".join(values)
