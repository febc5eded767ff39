"""ImageCard: description of a folder of images and masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from equiseg.data.card import MOST_VALUES, DataCard
from equiseg.data.card_fields import (
    SHOWN,
    file_pattern_problems,
    not_all,
    pattern_problems,
    shown,
    split_problems,
    unused_split_problems,
)

_IMAGES, _ANNOTATIONS = "images/{split}", "annotations/{split}"


@dataclass(frozen=True, kw_only=True)
class ImageCard(DataCard):
    """A folder of images and masks.

    Attributes:
        splits: For each split (train, val, test) the text that replaces ``{split}`` in the folder
            patterns, or the list of its image names without suffix, or a text file under the root
            with one name per line ("train.txt").
        images: Folder of the images under the root. ``{split}`` is replaced by the entry of
            ``splits``, or removed if the split lists its images.
        annotations: Folder of the masks, which have the names of their images. ``{split}`` as
            above.
        image: Instead of ``images``: a pattern of the image files, for names with a suffix and
            nested folders, such as "{split}/{city}/{name}_leftImg8bit.png". ``{name}`` and any
            other field match a part of one folder or file name; a pattern without suffix takes all
            image formats.
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
                continue  # reported already
            if wrong := [v for v in given if not 0 <= v < MOST_VALUES]:
                yield (
                    f"{field_name} must have mask values 0..{MOST_VALUES - 1}, got "
                    f"{shown(wrong[:SHOWN])}"
                )
