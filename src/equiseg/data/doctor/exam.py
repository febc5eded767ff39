"""Exam: the facts of one sample that the checks need, even if the sample cannot be used."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from equiseg.foreign_files import FileError

if TYPE_CHECKING:
    from equiseg.data.images.folder import ImageFolder

_THUMB = 8  # pixels a side: enough to distinguish pictures, unaffected by compression


@dataclass(frozen=True)
class Trouble:
    """A reason why a file cannot be used.

    Attributes:
        kind: "colour": a mask of colours; "values": labels that are no classes; "file": other
            problems.
        file: Path of the file, or name of the sample.
        message: The problem, with the name of the file.
    """

    kind: Literal["colour", "values", "file"]
    file: str
    message: str


@dataclass(frozen=True, eq=False)
class Exam:
    """Counts and fingerprints of one sample, which is not kept itself.

    Attributes:
        name: Name of the sample.
        size: (H, W), or (N,) points; None if it could not be read.
        counts: Pixels (points) by class id, for the classes that occur.
        ignored: Pixels (points) that are ignored.
        strange: Pixels (points) by value, for values that are neither classes nor ignored.
        content: Digest of the decoded image (the points); None if it could not be read.
        labels: Digest of the labels.
        thumb: (8, 8) uint8 grey picture; None for points.
        brightest: The largest of 0 to 255 in an image file; None for others.
        turned: Whether EXIF data turn a photograph, and its mask would also fit if they did not.
        troubles: Reasons why it cannot be used; empty if it can.
    """

    name: str
    size: tuple[int, ...] | None = None
    counts: Mapping[int, int] = field(default_factory=dict)
    ignored: int = 0
    strange: Mapping[int, int] = field(default_factory=dict)
    content: bytes | None = None
    labels: bytes | None = None
    thumb: np.ndarray | None = None
    brightest: int | None = None
    turned: bool = False
    troubles: tuple[Trouble, ...] = ()


def exam_of(data: Any, index: int) -> Exam:
    """The exam of one sample, even if it is broken."""
    try:
        sample = data[index]
    except FileError as error:
        pairs = getattr(data, "pairs", None)
        if pairs is None:
            trouble = Trouble("file", f"sample {index}", str(error))
            return Exam(trouble.file, troubles=(trouble,))
        image_file, mask_file = map(Path, pairs[index])
        broken = _of_broken(data, image_file, mask_file, error)
        return dataclasses.replace(broken, name=data.names[index])
    known = range(len(data.classes))
    labels = sample.labels.numpy()
    ids = {k: k for k in known} | {data.ignore_index: None}
    counts, ignored, strange = _sorted_out(_value_counts(labels), ids)
    troubles: tuple[Trouble, ...] = ()
    if strange:
        message = f"{sample.name}: labels {sorted(strange)[:8]} are neither classes nor ignored"
        troubles = (Trouble("values", sample.name, message),)
    in_files = hasattr(data, "pairs")  # images that a card describes
    seen = sample[:-2]  # all but labels and name: the image, or places and features
    return Exam(
        sample.name,
        tuple(labels.shape),
        counts,
        ignored,
        strange,
        _digest(*(part.numpy() for part in seen)),
        _digest(labels),
        _thumb(seen[0]) if len(seen) == 1 else None,
        int(seen[0].max()) if in_files else None,
        in_files and data.fits_both_ways(index),
        troubles,
    )


def _of_broken(data: ImageFolder, image_file: Path, mask_file: Path, error: FileError) -> Exam:
    """The exam of a broken image or mask, with all problems, not only the first."""
    from equiseg.data.images.reading import ColourMaskError, read_image, read_mask

    troubles: list[Trouble] = []
    image, size, mask = None, None, None
    try:
        image = read_image(image_file)
        size = tuple(image.shape[1:])
    except FileError as trouble:
        troubles.append(Trouble("file", str(image_file), str(trouble)))
    try:
        mask = read_mask(mask_file)
    except ColourMaskError as trouble:
        troubles.append(Trouble("colour", str(mask_file), str(trouble)))
    except FileError as trouble:
        troubles.append(Trouble("file", str(mask_file), str(trouble)))
    counts: dict[int, int] = {}
    strange: dict[int, int] = {}
    ignored = 0
    if mask is not None:
        ids = data.card.ids_by_value()
        named = {value: None if k == data.ignore_index else k for value, k in ids.items()}
        counts, ignored, strange = _sorted_out(_value_counts(mask), named)
        if strange:
            shown = f"{mask_file}: values {sorted(strange)[:8]}"
            troubles.append(Trouble("values", str(mask_file), shown))
    if size is not None and mask is not None and mask.shape != size:
        troubles.append(Trouble("file", str(mask_file), str(error)))  # sizes are compared first
    if not troubles:
        troubles.append(Trouble("file", str(mask_file), str(error)))
    return Exam(
        image_file.stem,
        size,
        counts,
        ignored,
        strange,
        None if image is None else _digest(image.numpy()),
        None if mask is None else _digest(mask),
        None if image is None else _thumb(image),
        troubles=tuple(troubles),
    )


def _value_counts(values: np.ndarray) -> dict[int, int]:
    if values.dtype in (np.uint8, np.uint16, bool):  # a count is faster than a sort
        counts = np.bincount(values.ravel())
        present = np.flatnonzero(counts)
        return dict(zip(present.tolist(), counts[present].tolist(), strict=True))
    present, counts = np.unique(values, return_counts=True)
    return dict(zip(present.tolist(), counts.tolist(), strict=True))


def _sorted_out(
    found: Mapping[int, int], ids: Mapping[int, int | None]
) -> tuple[dict[int, int], int, dict[int, int]]:
    """Pixels by class, ignored pixels, and pixels by value of all other values.

    Args:
        found: Pixels by value.
        ids: The class of each known value; None for ignored values.
    """
    counts: dict[int, int] = {}
    ignored, strange = 0, {}
    for value, pixels in found.items():
        if value not in ids:
            strange[value] = pixels
        elif (k := ids[value]) is None:
            ignored += pixels
        else:
            counts[k] = counts.get(k, 0) + pixels
    return counts, ignored, strange


def _digest(*arrays: np.ndarray) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _thumb(image: Tensor) -> np.ndarray:
    """The image in 64 grey pixels, nearly the same after compression or resizing."""
    cells, sides = image.numpy(), []
    for axis, side in enumerate(image.shape[1:], 1):
        bounds = np.arange(_THUMB + 1) * side // _THUMB
        cells = np.add.reduceat(cells, bounds[:-1].clip(max=side - 1), axis, np.int64)
        sides.append(np.diff(bounds).clip(min=1))
    means = cells.sum(0) / (len(image) * np.outer(*sides))
    thumb: np.ndarray = means.round().astype(np.uint8)
    return thumb
