"""ImageFolder: images and masks in two folders, as a data card describes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equiseg.data.card import MOST_VALUES, ImageCard
from equiseg.data.errors import DataError
from equiseg.data.sample import Sample

try:
    from PIL import Image, ImageOps
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError('image folders need Pillow: pip install "equiseg[data]"') from error

_ORIENTATION = 0x0112  # the EXIF tag
_CAMERA_FORMATS = ("JPEG", "MPO", "TIFF", "WEBP")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_CURE = "repair it or leave it out of the split"
# Exceptions of Pillow for files that are broken or far too large.
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class ImageFolder:
    """One split of a data set of images and masks.

    Masks are 8-bit, 16-bit or palette images; the card maps their pixel values to classes. All
    missing images and masks are reported when the folder is opened. Problems inside a file are
    reported when the file is read (:func:`equiseg.data.survey` reads all files before training).

    Args:
        card: The description of the data set.
        split: Name of a split of the card.
        size: (H, W) to resize to when reading, images antialiased and labels to the nearest
            pixel. None keeps the size on disk.

    Raises:
        DataError: If the split or a folder does not exist or is empty, or images or masks are
            missing.
    """

    def __init__(self, card: ImageCard, split: str, size: tuple[int, int] | None = None) -> None:
        if split not in card.splits:
            raise DataError(f"card {card.name} has no split {split!r}, only {list(card.splits)}")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise DataError(f"size must be a positive (H, W) or None, got {size}")
        self.card = card
        self.size = size
        self.classes = card.class_names()
        self.ignore_index = card.ignore_index
        self.background = card.background_id()
        self._lookup = _lookup_table(card)
        self.reading = [self._lookup.tolist(), size]  # identifies how masks become labels
        self.pairs = _find_pairs(card, split)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one image and its labels.

        Raises:
            DataError: If a file cannot be read, sizes differ, or the mask contains an unknown
                value.
        """
        image_file, mask_file = self.pairs[index]
        image = read_image(image_file, self.size)
        labels = self._read_labels(mask_file, image_file)
        return Sample(image, labels, image_file.stem)

    def labels(self, index: int) -> Tensor:
        """The labels of one image, without decoding the image.

        Raises:
            DataError: As for reading a sample, except for damage to the image.
        """
        image_file, mask_file = self.pairs[index]
        return self._read_labels(mask_file, image_file)

    def _read_labels(self, mask_file: Path, image_file: Path) -> Tensor:
        values = read_mask(mask_file)
        height, width = values.shape
        with _opened(image_file) as image:
            image = _upright(image)
            if image.size != (width, height):
                raise DataError(
                    f"{mask_file}: mask is {width}x{height} (width x height), its image "
                    f"{image_file.name} {image.width}x{image.height}; they must be of one size"
                )
        labels = self._lookup[values]
        if (labels < 0).any():
            unknown = sorted({int(v) for v in np.unique(values[labels < 0])})
            raise DataError(
                f"{mask_file}: values {unknown[:8]} are neither classes nor ignored in card "
                f"{self.card.name}; add them to classes or to ignore_values"
            )
        if self.size is not None and labels.shape != tuple(self.size):
            rows, columns = (_nearest(n, m) for n, m in zip(labels.shape, self.size, strict=True))
            labels = labels[rows[:, None], columns]
        small = len(self.classes) <= 255 and 0 <= self.ignore_index <= 255
        return torch.from_numpy(labels.astype(np.uint8 if small else np.int64))


def read_image(file: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read an image file as uint8 RGB (3, H, W); 16-bit grey is scaled down to 8 bit.

    Args:
        file: The image.
        size: (H, W) to resize to, antialiased. None keeps the size on disk.

    Raises:
        DataError: If the file cannot be read as an image of at most 16 bit.
    """
    with _opened(file) as image:
        if size is not None:
            image.draft("RGB", (size[1], size[0]))  # the JPEG decoder then skips unused detail
        decoded = _decoded(image, file)
        if decoded.mode.startswith(("I", "F")):
            decoded = _eight_bit(decoded, file)
        rgb = _upright(decoded).convert("RGB")
        if size is not None and rgb.size != (size[1], size[0]):
            rgb = rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.ascontiguousarray(np.asarray(rgb).transpose(2, 0, 1)))


def read_mask(file: Path) -> np.ndarray:
    """Read the values of a mask: (H, W) int64, 0 to 65535.

    Args:
        file: An image of one channel, 8-bit, 16-bit or with a palette.

    Raises:
        DataError: If the file cannot be read as such a mask.
    """
    with _opened(file) as image:
        mask = _upright(image)
        if mask.mode not in ("P", "L", "I", "I;16", "I;16B", "1"):
            raise DataError(
                f"{file}: mask must have one channel of class values (8-bit, 16-bit or palette), "
                f"got mode {mask.mode}; colour-coded masks must be converted first"
            )
        values: np.ndarray = np.asarray(_decoded(mask, file)).astype(np.int64)
    if values.min() < 0 or values.max() >= MOST_VALUES:
        raise DataError(
            f"{file}: mask values must be 0..{MOST_VALUES - 1}, got {values.min()}.."
            f"{values.max()}; renumber them"
        )
    return values


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data say, like viewers show it."""
    # Cameras write these formats; asking a PNG for EXIF data would decode it whole.
    if image.format not in _CAMERA_FORMATS:
        return image
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except _BROKEN:  # the picture can be fine despite unreadable EXIF data
        return image


def _eight_bit(image: Image.Image, file: Path) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() >= 1 << 16:
        raise DataError(
            f"{file}: grey values must be whole numbers of at most 16 bit, got "
            f"{values.min()}..{values.max()} in mode {image.mode}; save it with 8 or 16 bit"
        )
    return Image.fromarray((values.astype(np.int64) >> 8).astype(np.uint8))


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except _BROKEN as error:
        raise DataError(f"{file}: not a readable image ({_reason(error)}); {_CURE}") from error


def _decoded(image: Image.Image, file: Path) -> Image.Image:
    try:
        image.load()
    except _BROKEN as error:
        raise DataError(f"{file}: damaged image ({_reason(error)}); {_CURE}") from error
    return image


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _nearest(source: int, target: int) -> np.ndarray:
    """Source index under the center of every target pixel."""
    return ((np.arange(target) + 0.5) * source / target).astype(np.int64)


def _lookup_table(card: ImageCard) -> np.ndarray:
    """Class id of every possible mask value; -1 for values that are not in the card."""
    table = np.full(MOST_VALUES, -1, dtype=np.int64)
    for value, label in card.ids_by_value().items():
        if value < MOST_VALUES:  # only ignore_index may be larger, and is then no mask value
            table[value] = label
    return table


def _find_pairs(card: ImageCard, split: str) -> list[tuple[Path, Path]]:
    """Image and mask files of one split, in the order of their names."""
    chosen = card.splits[split]
    whole = isinstance(chosen, str)
    folders = [
        card.path / pattern.format(split=chosen if whole else "")
        for pattern in (card.images, card.annotations)
    ]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise DataError(f"no such folder: {', '.join(missing)}; check the card and the data root")
    problems: list[str] = []
    images, masks = (_files(folder, problems) for folder in folders)
    names = sorted(images) if isinstance(chosen, str) else list(chosen)
    problems += [
        f"{folders[0] / name}: no image of this name" for name in names if name not in images
    ]
    problems += [f"{images[n]}: no mask named {n}" for n in names if n in images and n not in masks]
    if whole:
        problems += [f"{masks[n]}: no image named {n}" for n in masks if n not in images]
    if problems:
        heading = f"{card.name}/{split}: every image needs one mask of its name, and only one"
        raise DataError.listing(heading, problems)
    if not names:
        raise DataError(
            f"card {card.name}: no images for split {split!r} in {folders[0]}; they end in "
            f"{' '.join(IMAGE_SUFFIXES)}"
        )
    return [(images[name], masks[name]) for name in names]


def _files(folder: Path, problems: list[str]) -> dict[str, Path]:
    """Image files by their name without suffix."""
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in IMAGE_SUFFIXES:
            if file.stem in files:
                problems.append(f"{file}: named as {files[file.stem].name}; keep one of them")
            files[file.stem] = file
    return files
